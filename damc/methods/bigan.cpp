#include "damc/methods/bigan.h"

namespace damc {

BiGan::BiGan(const BiGanParts& parts, Device device, Generator& random)
    : parts_(parts),
      random_(random),
      update_critic_("critic update", {"x"}, device, [this](const auto& in) { return step_critic(in[0]); }),
      update_others_("generator and encoder update", {"x", "z"}, device,
                     [this](const auto& in) { return step_others(in[0], in[1]); }) {}

Stats BiGan::iterate(std::int64_t, const Minibatch& batch, const Lap& after) {
  Stats stats;
  const auto [z, loss, norm] = update_critic_({batch.x}, after);
  stats.add<2>({"loss_d", "grad_norm_d"}, {loss, norm});
  stats.add<4>({"loss_g", "loss_v", "grad_norm_g", "grad_norm_v"}, update_others_({batch.x, z}, after));
  return stats;
}

std::array<Tensor, 3> BiGan::step_critic(const Tensor& x) {
  const Tensor z = random_.normal({x.size(0), parts_.nz}, x.dtype());
  const Tensor made = parts_.generator->forward(z).value(), code = parts_.encoder->forward(x).value();
  const Variable loss =
      mean(softplus(-parts_.critic->forward(x, code))) + mean(softplus(parts_.critic->forward(made, z)));
  return {z, loss.value(), parts_.learn_critic->step(loss)[1]};
}

std::array<Tensor, 4> BiGan::step_others(const Tensor& x, const Tensor& z) {
  const PairCritic& D = *parts_.critic;
  const Variable of_generator = mean(softplus(-D.forward(parts_.generator->forward(z), z))),
                 of_encoder = mean(softplus(D.forward(x, parts_.encoder->forward(x))));
  // Neither network is in the other's loss, so that the sum has each one's gradient.
  const std::vector<Tensor> norms =
      step_together(of_generator + of_encoder, {parts_.learn_generator, parts_.learn_encoder}).norms;
  return {of_generator.value(), of_encoder.value(), norms[0], norms[1]};
}

std::vector<Learner*> BiGan::learners() const {
  return {parts_.learn_critic, parts_.learn_generator, parts_.learn_encoder};
}

}  // namespace damc
