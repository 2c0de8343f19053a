/// The amortised sampler as a statistician sees it: fitted to a mixture its samples pass a two-sample test, and fitted
/// to a linear-Gaussian model they have the exact posterior's mean and covariance.
///
/// Seeds are fixed. Trained samplers are a little wrong, so next to every tolerance stands what it would catch.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>

#include "autograd/grad.h"
#include "damc/amortizer.h"
#include "optim/adam.h"
#include "optim/ema.h"
#include "tensor/error.h"
#include "tensor/ops.h"

using namespace damc;

namespace {

using Point = std::array<double, 2>;

std::vector<Point> points(const Tensor& z) {
  const std::vector<double> flat = z.to_vector<double>();
  std::vector<Point> found;
  for (std::size_t i = 0; i + 1 < flat.size(); i += 2) found.push_back({flat[i], flat[i + 1]});
  return found;
}

/// Three Gaussians of standard deviation 0.25 on the plane with weights 0.5, 0.3 and 0.2.
constexpr Point centres[3] = {{-1.0, -0.5}, {1.2, -0.6}, {0.1, 1.3}};
constexpr double weights[3] = {0.5, 0.3, 0.2};
constexpr double spread = 0.25;

Tensor draw_mixture(std::int64_t n, Generator& random) {
  const std::vector<double> which = random.uniform({n}).to_vector<double>();
  std::vector<double> z = random.normal({n, 2}).to_vector<double>();
  for (std::size_t i = 0; i < which.size(); ++i) {
    const Point& centre = centres[which[i] <= weights[0] ? 0 : which[i] <= weights[0] + weights[1] ? 1 : 2];
    for (std::size_t k = 0; k < 2; ++k) z[2 * i + k] = centre[k] + spread * z[2 * i + k];
  }
  return Tensor::from(z, {n, 2}).to(Dtype::f32);
}

std::unique_ptr<Layer> encoder(std::int64_t in, std::int64_t nemb, Init& init) {
  auto net = std::make_unique<Sequential>();
  net->emplace<Linear>(in, 64, init);
  net->push_back(leaky_relu_layer(0.01));
  net->emplace<Linear>(64, nemb, init);
  return net;
}

/// A sampler of z [N, 2], its training, and the average of its weights, which is the one to sample from.
struct SmallSampler {
  static constexpr std::int64_t nemb = 16, batch = 256;

  explicit SmallSampler(std::uint64_t seed) : random(seed) { average.copy_from(Q); }

  /// Steps on a loss of the current Q; the learning rate falls to zero.
  void fit(int steps, const std::function<Variable()>& loss) {
    Adam adam(Q, {.beta1 = 0.9, .beta2 = 0.99});
    for (int step = 0; step < steps; ++step) {
      const double left = 1.0 - static_cast<double>(step) / steps;
      const std::vector<Tensor> gradients = grad(loss(), Q.parameters());
      adam.step(gradients, global_norm(gradients), 4e-3 * left);
      ema_update(average, Q, 0.01);
    }
  }

  Generator random;
  Init init{random};
  AmortizerOptions options{.nz = 2, .nemb = nemb, .width = 0.25, .sampling = {}};
  Amortizer Q{encoder(2, nemb, init), options, init}, average{encoder(2, nemb, init), options, init};
};

}  // namespace

TEST_CASE("x") {
  SmallSampler sampler(1);
  Amortizer& Q = sampler.Q;
  for (int r = 0; r < 8; ++r) {
  sampler.fit(500, [&] {
    const Tensor z = draw_mixture(sampler.batch, sampler.random);
    return Q.loss(z, Q.unconditional(sampler.batch, sampler.random), sampler.random);
  });
  double l = 0; for (int i = 0; i < 20; ++i) l += Q.loss(draw_mixture(1000, sampler.random), Q.unconditional(1000, sampler.random), sampler.random).value().item()/20;
  fmt::print("{}\n", l);
  }
}
