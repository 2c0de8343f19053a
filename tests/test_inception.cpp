/// Inception-v3: every block against numpy (golden/inception.py), whose oracle agrees with pytorch-fid's network to
/// 4e-14; and files that are not its weights.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "autograd/checks/op_cases.h"
#include "autograd/grad.h"
#include "damc/nets/inception.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/golden.h"
#include "tests/inception_weights.h"

using namespace damc;

namespace {

const Golden& golden() {
  static const Golden values("inception");
  return values;
}

/// Images [N, height, width, channels] that the golden script makes by the same formula.
struct GoldenImages {
  std::string name;
  Shape shape;

  Tensor pixels() const { return golden_formula("inception." + name, shape); }
};

const GoldenImages rgb{"rgb", {2, 32, 32, 3}};
const GoldenImages grey{"grey", {1, 40, 23, 1}};
const GoldenImages large{"large", {1, 310, 320, 3}};

}  // namespace

TEST_CASE("resized: bilinear at the centres of pixels, to larger and to smaller, grey in three channels") {
  const Inception net(inception_weights(), {}, Dtype::f64);
  for (const GoldenImages& of : {rgb, grey, large}) {
    CAPTURE(of.name);
    const Tensor images = of.pixels();
    CHECK(golden().error(of.name + ".resized", net.resized(images.to(Dtype::f64))) < 1e-12);
    // What lies outside [-1, 1] is cut off.
    CHECK(relative_error(net.resized(mul(images, 1e6)), net.resized(clamp(mul(images, 1e6), -1.0, 1.0))) ==
          0.0);
  }
  CHECK_THROWS_AS(net.resized(Tensor::zeros({1, 8, 8, 2})), Error);
  CHECK_THROWS_AS(net.resized(Tensor::zeros({8, 8, 3})), Error);
}

TEST_CASE("every block and the features are numpy's, in f64 and f32") {
  for (const Dtype dtype : {Dtype::f64, Dtype::f32}) {
    const double tolerance = dtype == Dtype::f64 ? 1e-12 : 3e-6;
    const Inception net(inception_weights(), {}, dtype);
    double worst = 0.0;
    for (const GoldenImages& of : {rgb, grey}) {
      const Tensor images = of.pixels();
      const auto compare = [&](const std::string& block, const Tensor& got) {
        const double error = golden().error(of.name + "." + block, got);
        CHECK_MESSAGE(error < tolerance, of.name, ", ", block, ": relative error ", error);
        worst = std::max(worst, error);
      };
      const Tensor features = net.features(net.resized(images), compare).value();
      compare("pool3", features);
      if (dtype == Dtype::f32) CHECK(relative_error(net(images), features) == 0.0);
    }
    fmt::print("Inception in {}: {:.1e} of {:.0e}\n", name(dtype), worst, tolerance);
  }
}

TEST_CASE("features are differentiable with respect to the image") {
  const Inception net(inception_weights(), {}, Dtype::f64);
  const Tensor x =
      golden_formula("inception.small", {1, 91, 91, 3}).to(Dtype::f64);  // the network takes any size
  const Tensor direction = Generator(3).normal(x.shape(), Dtype::f64);
  const Variable leaf(x, true);
  const Tensor g = grad(mean(square(net.features(leaf))), {leaf})[0];
  // So short a step hardly crosses a kink.
  const double step = 1e-8;
  const auto loss = [&](double along) {
    return mean(square(net.features(add(x, mul(direction, along))))).value().item();
  };
  const double slope = sum(mul(g, direction)).item();
  CHECK((loss(step) - loss(-step)) / (2.0 * step) == doctest::Approx(slope).epsilon(1e-4));
}

TEST_CASE("weights of something else are refused by name") {
  const auto refused = [](StateDict state, const std::string& words) {
    std::string message;
    try {
      const Inception net(state);
    } catch (const UserError& error) {
      message = error.what();
    }
    CHECK_MESSAGE(message.find(words) != std::string::npos, "'", words, "' is not in: ", message);
  };
  StateDict state = inception_weights();
  state.erase("Mixed_7c.branch_pool.bn.running_var");
  refused(state, "no tensor 'Mixed_7c.branch_pool.bn.running_var'");

  state = inception_weights();
  state["Mixed_6b.branch7x7_2.conv.weight"] = Tensor::zeros({128, 128, 7, 1});
  refused(
      state,
      "'Mixed_6b.branch7x7_2.conv.weight' of Inception-v3 of FID has shape [128, 128, 7, 1], expected [128, "
      "128, 1, 7]");

  state = inception_weights();
  state["Conv2d_1a_3x3.bn.bias"] = Tensor::zeros({32}, Dtype::i64);
  refused(state, "no tensor 'Conv2d_1a_3x3.bn.bias'");

  state = inception_weights();
  state["AuxLogits.conv0.conv.weight"] = Tensor::zeros({128, 768, 1, 1});
  refused(state, "'AuxLogits.conv0.conv.weight' is no tensor of Inception-v3 of FID");

  state = inception_weights();
  state["fc.weight"] = Tensor::zeros({1000, 2048});
  refused(state, "'fc.weight' is no tensor");
  state["fc.weight"] = Tensor::zeros({1008, 2048});
  state["Conv2d_1a_3x3.bn.num_batches_tracked"] = Tensor::zeros({}, Dtype::i64);
  CHECK_NOTHROW(Inception{state});
}
