#include "damc/inversion/autoencoder.h"

#include "tensor/io/safetensors.h"
#include "tensor/ops.h"

namespace damc {
namespace {

constexpr const char *kGenerator = "G.", *kEncoder = "encoder.";  // of the weights' names in files
constexpr double kNoise = 0.1;                                    // added to W+
constexpr double kMeanShare = 0.005;  // of a batch in the mean W+, as in StyleGAN's training

}  // namespace

AutoencoderTraining::AutoencoderTraining(const Config& c, std::int64_t size, Device device, Generator initial)
    : latent_l2_(c.latent_l2),
      device_(device),
      generator_(
          StyleGan::learning(StyleGan::initial(StyleGanSizes::small(size, c.nz, c.ngf), initial), device)),
      encoder_(InDomainEncoder::learning(
          InDomainEncoder::initial(EncoderSizes::small(size, c.nz, c.nif), initial), device)),
      random_(make_generator(c, Stream::training, device)),
      watch_(device),
      learn_generator_("generator", "g", *generator_, learning(c, c.lr_g), watch_),
      learn_encoder_("encoder", "v", *encoder_, learning(c, c.lr_g), watch_),
      update_("autoencoder update", {"x"}, device, [this](const auto& in) { return update(in[0]); }) {
  generator_->precision = encoder_->precision = products_of(c.precision, device);
}

std::array<Tensor, 3> AutoencoderTraining::update(const Tensor& x) {
  const Variable w = encoder_->forward(x);
  const Variable image = generator_->forward(w + kNoise * random_.normal(w.shape()));
  const Variable loss =
      (sum(square(image - x)) + latent_l2_ * sum(square(w))) / static_cast<double>(x.size(0));
  const JointUpdate update = step_together(loss, {&learn_generator_, &learn_encoder_});
  generator_->follow_mean(w.value(), kMeanShare);
  return {update.loss, update.norms[0], update.norms[1]};
}

Stats AutoencoderTraining::iterate(std::int64_t k, const Tensor& x, std::span<const std::int64_t>) {
  watch_.begin(k);
  learn_generator_.begin(k);
  learn_encoder_.begin(k);
  Stats stats;
  stats.add<3>({"loss_g", "grad_norm_g", "grad_norm_v"}, update_({x}));
  stats.add("lr_g", learn_generator_.rate());
  return stats;
}

StateDict AutoencoderTraining::weights() const {
  StateDict all = generator_->state_dict(kGenerator);
  all.merge(encoder_->state_dict(kEncoder));
  return all;
}

StateDict AutoencoderTraining::state_dict() const {
  StateDict all = learn_generator_.state_dict();
  all.merge(learn_encoder_.state_dict());
  all["noise.position"] = position_of(random_);
  return all;
}

void AutoencoderTraining::find_state(Loading& loading) {
  generator_->find_state(loading, kGenerator);
  encoder_->find_state(loading, kEncoder);
  learn_generator_.find_state(loading);
  learn_encoder_.find_state(loading);
  find_position(loading, random_, "noise.position");
}

std::int64_t AutoencoderTraining::parameter_count() const {
  return generator_->parameter_count() + encoder_->parameter_count();
}

double AutoencoderTraining::evaluate(const Images& images) const {
  return squared_error(images, device_, [this](const Tensor& x) {
    return generator_->forward(encoder_->forward(x).value()).value();
  });
}

void AutoencoderTraining::write_files(const std::filesystem::path& folder) const {
  write_safetensors(folder / "generator.safetensors", generator_->state_dict());
  write_safetensors(folder / "encoder.safetensors", encoder_->state_dict());
}

}  // namespace damc
