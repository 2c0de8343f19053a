#include "damc/chains/langevin.h"

#include "autograd/grad.h"

namespace damc {
namespace {

Tensor gradient_of(const Potential& potential, const Tensor& z) {
  const Variable leaf(z, true);
  return grad(potential(leaf), {leaf})[0];
}

}  // namespace

std::vector<Tensor> weights_of(std::initializer_list<const Module*> networks) {
  std::vector<Tensor> found;
  for (const Module* network : networks) {
    for (const Variable& parameter : network->parameters()) found.push_back(parameter.value());
  }
  return found;
}

Tensor langevin(const PotentialGradient& gradient, const Tensor& start, const ChainOptions& options,
                Generator* noise) {
  const double s = options.step_size;
  const Tensor z = start.clone();
  for (int step = 0; step < options.steps; ++step) {
    // Eq. (3) with dU/dz = g + z: z <- (1 - s^2/2) z - s^2/2 g + s w
    noisy_update(z, gradient(z), {1.0 - s * s / 2.0, -s * s / 2.0, s}, noise);
  }
  return z;
}

Tensor langevin(const Potential& potential, const Tensor& z, const ChainOptions& options, Generator* noise) {
  return langevin([&](const Tensor& v) { return gradient_of(potential, v); }, z, options, noise);
}

Tensor prior_langevin(const EnergyNet& E, const Tensor& z, const ChainOptions& options, Generator* noise) {
  const HeldWeights held(weights_of({&E}));
  return langevin([&](const Tensor& v) { return E.grad_z(v); }, z, options, noise);
}

Tensor posterior_langevin(const GeneratorNet& G, const EnergyNet& E, const Tensor& z, const Tensor& x,
                          double sigma, const ChainOptions& options, Generator* noise) {
  const HeldWeights held(weights_of({&G, &E}));
  const double precision = 1.0 / (2.0 * sigma * sigma);
  const auto misfit = [&](const Variable& v) { return precision * sum(square(G.forward(v) - x)); };
  return langevin([&](const Tensor& v) { return add(gradient_of(misfit, v), E.grad_z(v)); }, z, options,
                  noise);
}

}  // namespace damc
