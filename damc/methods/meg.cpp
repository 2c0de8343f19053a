#include "damc/methods/meg.h"

#include "autograd/grad.h"

namespace damc {

PenalisedEnergy penalised_energy(const DataEnergy& energy, const Tensor& x, const Tensor& fake,
                                 double weight) {
  const Variable real(x, true);
  const Tensor slope = grad(sum(energy.forward(real)), {real})[0];
  const Tensor squared = mul(sum_squares(slope), 1.0 / static_cast<double>(x.size(0)));
  const Variable penalty = 2.0 * mean(energy.tangent(x, slope)) - squared;  // |v|^2 in value
  return {mean(energy.forward(x)) - mean(energy.forward(fake)) + weight * penalty, squared};
}

Variable pair_loss(const PairCritic& statistics, const Variable& x, const Variable& z) {
  const std::int64_t n = z.size(0);
  const Variable others = cat(std::vector<Variable>{narrow(z, 0, 1, n - 1), narrow(z, 0, 0, 1)}, 0);
  return 0.5 * (mean(softplus(-statistics.forward(x, z))) + mean(softplus(statistics.forward(x, others))));
}

Meg::Meg(const MegParts& parts, Device device, Generator& random)
    : parts_(parts),
      random_(random),
      update_energy_("energy update", {"x"}, device, [this](const auto& in) { return step_energy(in[0]); }),
      update_generator_("generator update", {"x"}, device,
                        [this](const auto& in) { return step_generator(in[0]); }) {}

Stats Meg::iterate(std::int64_t k, const Minibatch& batch, const Lap& after) {
  Stats stats;
  stats.add<3>({"loss_d", "gradient_penalty", "grad_norm_d"}, update_energy_({batch.x}, after));
  if ((k + 1) % parts_.g_every == 0)
    stats.add<4>({"loss_g", "loss_h", "grad_norm_g", "grad_norm_h"}, update_generator_({batch.x}, after));
  return stats;
}

std::array<Tensor, 3> Meg::step_energy(const Tensor& x) {
  const Tensor fake = parts_.generator->forward(draw(x)).value();
  const PenalisedEnergy of = penalised_energy(*parts_.energy, x, fake, parts_.gradient_penalty);
  return {of.loss.value(), of.squared_slope, parts_.learn_energy->step(of.loss)[1]};
}

std::array<Tensor, 4> Meg::step_generator(const Tensor& x) {
  const Tensor z = draw(x);
  const Variable fake = parts_.generator->forward(z), of_pairs = pair_loss(*parts_.statistics, fake, z),
                 loss = mean(parts_.energy->forward(fake)) + of_pairs;
  const std::vector<Tensor> norms =
      step_together(loss, {parts_.learn_generator, parts_.learn_statistics}).norms;
  return {loss.value(), of_pairs.value(), norms[0], norms[1]};
}

std::vector<Learner*> Meg::learners() const {
  return {parts_.learn_energy, parts_.learn_generator, parts_.learn_statistics};
}

}  // namespace damc
