/// An energy-based model of points in the plane, learned by maximum likelihood: the energy goes down at the data and up
/// at the ends of Langevin chains.
///   energy_2d [ITERATIONS]

#include <fmt/format.h>

#include <cstdlib>

#include "autograd/grad.h"
#include "damc/chains/langevin.h"
#include "damc/toy/pinwheel.h"
#include "damc/toy/two_sample.h"
#include "nn/layers.h"
#include "optim/adam.h"

using namespace damc;

int main(int argc, char** argv) {
  const int iterations = argc > 1 ? std::atoi(argv[1]) : 1500;
  constexpr std::int64_t n = 400;
  Generator random(1);
  Init init(random);
  Sequential energy;  // p(z) ~ exp(-energy(z)) N(z; 0, I)
  energy.emplace<Linear>(2, 64, init);
  energy.push_back(silu_layer());
  energy.emplace<Linear>(64, 64, init);
  energy.push_back(silu_layer());
  energy.emplace<Linear>(64, 1, init);
  const FunctionPotential potential([&](const Variable& z) { return sum(energy.forward(z)); });

  Adam adam(energy, {.beta1 = 0.5});
  Tensor chains = random.normal({n, 2});  // they go on from one iteration to the next
  for (int k = 0; k < iterations; ++k) {
    const Tensor data = sample_pinwheel(n, random);
    chains = langevin(potential, chains, {.steps = 20, .step_size = 0.15}, &random);
    const Variable down = mean(energy.forward(data)), up = mean(energy.forward(chains));
    const Variable loss = down - up + 0.01 * mean(square(energy.forward(data)));  // energies stay near 0
    adam.step(grad(loss, energy.parameters()), {}, 1e-3);
    if (k % 250 == 0)
      fmt::print("iteration {:4}  E(data) - E(chains) {:8.4f}\n", k, (down - up).value().item());
  }
  const Tensor data = sample_pinwheel(2000, random), start = random.normal({2000, 2});
  const Tensor samples = langevin(potential, start, {.steps = 1000, .step_size = 0.15}, &random);
  fmt::print("energy distance to the data: of samples {:.3f}, of N(0, I) {:.3f}, of other data {:.3f}\n",
             energy_distance(samples, data), energy_distance(start, data),
             energy_distance(sample_pinwheel(2000, random), data));
}
