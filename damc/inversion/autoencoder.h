/// Generator and encoder of a GAN inversion that anyone can train: a small StyleGAN as the decoder of a small in-domain
/// encoder, by reconstruction alone. What it writes are files as the release's, for `damc train --preset invert-mini` and
/// `damc invert`. Its generator is no GAN: random W+ make no likely images.
#pragma once

#include <memory>

#include "damc/model.h"
#include "damc/nets/in_domain_encoder.h"
#include "damc/nets/stylegan.h"
#include "damc/training.h"
#include "optim/learner.h"
#include "tensor/record.h"

namespace damc {

/// Minimises |x - G(w)|^2 + latent_l2 |w|^2, summed over an image, with w = Enc(x) + noise / 10: the noise makes that near
/// W+ mean near images, and keeps the penalty from shrinking W+ to nothing.
class AutoencoderTraining final : public Training {
 public:
  /// For images of size x size: W+ of config.nz numbers, config.ngf and config.nif channels at full size, rate lr_g.
  AutoencoderTraining(const Config& config, std::int64_t size, Device device)
      : AutoencoderTraining(config, size, device, make_generator(config, Stream::init, {})) {}

  /// loss (per image), grad_norm_g, grad_norm_v, lr_g. The generator's mean W+ follows those of the batches.
  Stats iterate(std::int64_t k, const Tensor& x, std::span<const std::int64_t> numbers) override;
  void check() override { check_finite(watch_, "try a smaller lr_g"); }
  StateDict weights() const override;
  StateDict state_dict() const override;
  void find_state(Loading& loading) override;
  std::int64_t parameter_count() const override;
  const char* loss() const override { return "loss_g"; }
  const char* metric() const override { return "mse"; }
  /// Squared error of G(Enc(x)) per pixel value in [-1, 1].
  double evaluate(const Images& images) const override;
  /// generator.safetensors and encoder.safetensors.
  void write_files(const std::filesystem::path& folder) const override;

  const StyleGan& generator() const { return *generator_; }
  const InDomainEncoder& encoder() const { return *encoder_; }

 private:
  AutoencoderTraining(const Config& config, std::int64_t size, Device device, Generator initial);

  std::array<Tensor, 3> update(const Tensor& x);

  double latent_l2_;
  Device device_;
  std::unique_ptr<StyleGan> generator_;
  std::unique_ptr<InDomainEncoder> encoder_;
  Generator random_;
  FiniteWatch watch_;
  Learner learn_generator_, learn_encoder_;
  CapturedStep<1, 3> update_;  // x -> loss, gradient norms
};

}  // namespace damc
