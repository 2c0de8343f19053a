#include "damc/methods/energy_learning.h"

namespace damc {

EnergyLearning::EnergyLearning(EnergyParts parts, const Starts& starts, Device device, Generator& random)
    : parts_(std::move(parts)),
      chain_("prior chain", {"z0"}, device,
             [this, &starts, &random](const auto& in) -> std::array<Tensor, 1> {
               return {langevin(*parts_.prior, starts.prior(in[0], random), parts_.chains, &random)};
             }),
      update_("energy update", {"z+", "z-"}, device, [this](const auto& in) { return step(in[0], in[1]); }) {}

void EnergyLearning::update(const Tensor& z_plus, const Tensor& z_minus, Stats& stats, const Lap& after) {
  stats.add<3>({"energy_plus", "energy_minus", "grad_norm_e"}, update_({z_plus, z_minus}, after));
}

std::array<Tensor, 3> EnergyLearning::step(const Tensor& z_plus, const Tensor& z_minus) {
  const EnergyLoss of = parts_.loss(parts_.learned->energies(z_plus), parts_.learned->energies(z_minus));
  return {of.plus.value(), of.minus.value(), parts_.learner->step(of.loss)[1]};
}

}  // namespace damc
