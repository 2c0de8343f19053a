#include "damc/methods/energy_learning.h"

namespace damc {

EnergyLearning::EnergyLearning(EnergyParts parts, const Starts& starts, Device device, Generator& random)
    : parts_(std::move(parts)),
      random_(random),
      chain_("prior chain", {"z0"}, device,
             [this, &starts](const auto& in) -> std::array<Tensor, 1> {
               return {langevin(*parts_.prior, starts.prior(in[0], random_), parts_.chains, &random_)};
             }),
      update_("energy update", {"z+", "z-"}, device, [this](const auto& in) { return step(in[0], in[1]); }) {}

void EnergyLearning::update(const Tensor& z_plus, const Tensor& z_minus, Stats& stats, const Lap& after) {
  stats.add<3>({"energy_plus", "energy_minus", "grad_norm_e"}, update_({z_plus, z_minus}, after));
}

std::array<Tensor, 3> EnergyLearning::step(const Tensor& z_plus, const Tensor& z_minus) {
  const Pieces& pieces = parts_.pieces;
  std::vector<std::array<Tensor, 2>> means;  // of each piece
  const PieceLosses losses = pieces.losses(z_plus, random_, [&](std::int64_t p) {
    const Part part{p, pieces.count(z_plus)};
    const EnergyLoss of = parts_.loss(parts_.learned->energies(Pieces::rows_of(z_plus, part)),
                                      parts_.learned->energies(Pieces::rows_of(z_minus, part)));
    means.push_back({of.plus.value(), of.minus.value()});
    return of.loss;
  });
  const Tensor norm = parts_.learner->step(losses)[1];
  const std::vector<Tensor> all =
      pieces.means(z_plus, [&](std::int64_t p) { return means[static_cast<std::size_t>(p)]; });
  return {all[0], all[1], norm};
}

}  // namespace damc
