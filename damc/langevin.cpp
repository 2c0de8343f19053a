#include "damc/langevin.h"

#include "autograd/grad.h"

namespace damc {
namespace {

/// The networks' parameters, which a chain leaves as they are.
std::vector<Tensor> weights(std::initializer_list<const Module*> networks) {
  std::vector<Tensor> found;
  for (const Module* network : networks) {
    for (const Variable& parameter : network->parameters()) found.push_back(parameter.value());
  }
  return found;
}

}  // namespace

Tensor langevin(const Potential& potential, const Tensor& start, const ChainOptions& options,
                Generator* noise) {
  const Tensor z = start.clone();
  for (int step = 0; step < options.steps; ++step) {
    const Variable leaf(z, true);
    const Tensor gradient = grad(potential(leaf), {leaf})[0].contiguous();
    if (noise) {
      const RandomSlice w = noise->take(z.numel());
      backend(z.device()).langevin_step(z, gradient, options.step_size, &w);
    } else {
      backend(z.device()).langevin_step(z, gradient, options.step_size, nullptr);
    }
  }
  return z;
}

Tensor prior_langevin(const EnergyNet& E, const Tensor& z, const ChainOptions& options, Generator* noise) {
  const HeldWeights held(weights({&E}));
  return langevin([&](const Variable& v) { return sum(E.forward(v)); }, z, options, noise);
}

Tensor posterior_langevin(const GeneratorNet& G, const EnergyNet& E, const Tensor& z, const Tensor& x,
                          double sigma, const ChainOptions& options, Generator* noise) {
  const HeldWeights held(weights({&G, &E}));
  const double precision = 1.0 / (2.0 * sigma * sigma);
  return langevin(
      [&](const Variable& v) { return precision * sum(square(G.forward(v) - x)) + sum(E.forward(v)); }, z,
      options, noise);
}

}  // namespace damc
