/// A density of your own, and a sampler that learns to draw from it: short Langevin chains start from the sampler, and the
/// sampler is fitted to where they end.
///   amortise_density [ITERATIONS]

#include <fmt/format.h>

#include <cstdlib>

#include "autograd/ops.h"
#include "damc/chains/langevin.h"
#include "damc/sampler/amortized_sampler.h"
#include "damc/toy/two_sample.h"

using namespace damc;

namespace {

/// A ring of radius 1.5 that is denser to the right: U(z) = 8 (|z| - 1.5)^2 - z_1.
class Ring final : public Potential {
 public:
  /// Without the |z|^2/2 that every chain adds.
  Variable energy(const Variable& z) const override {
    const Variable squares = sum(square(z), 1), r = sqrt(squares + 1e-6);
    return sum(8.0 * square(r - 1.5) - select(z, 1, 0) - 0.5 * squares);
  }
};

Amortizer make_sampler() {
  Generator random(1);
  Init init(random);
  return Amortizer(std::make_unique<Linear>(1, 32, init),
                   {.nz = 2, .nemb = 32, .widths = DenoiserWidths::scaled(0.5)}, init);
}

}  // namespace

int main(int argc, char** argv) {
  const int iterations = argc > 1 ? std::atoi(argv[1]) : 300;
  constexpr std::int64_t n = 256;
  const Ring ring;
  const ChainOptions short_chain{.steps = 10, .step_size = 0.15},
      long_chain{.steps = 2000, .step_size = 0.15};
  Amortizer Q = make_sampler(), slow = make_sampler();
  FiniteWatch watch{Device{}};
  AmortizedSampler sampler(Q, slow, {.p_uncond = 0.0, .ema_rho = 0.5},
                           {.rate = {.initial = 1e-3, .factor = 1.0, .every = 1, .least = 1e-3}}, watch);
  Generator random(2);
  const Tensor x = Tensor::zeros({n, 1}), many = Tensor::zeros({2000, 1});  // nothing is observed
  const Tensor truth = langevin(ring, random.normal({2000, 2}), long_chain, &random);
  for (int k = 0; k <= iterations; ++k) {
    if (k % 100 == 0 || k == iterations)
      fmt::print("iteration {:4}  energy distance to long chains {:.3f}\n", k,
                 energy_distance(Q.sample(many, random), truth));
    sampler.learner().begin(k);
    sampler.fit(x, langevin(ring, sampler.sample(x, random), short_chain, &random), random);
    if (sampler.follows_after(k)) sampler.follow();
  }
  fmt::print("two sets of long chains are {:.3f} apart\n",
             energy_distance(langevin(ring, random.normal({2000, 2}), long_chain, &random), truth));
}
