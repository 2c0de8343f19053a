#include "damc/inversion/sampler.h"

#include "damc/nets/pretrained.h"
#include "tensor/error.h"

namespace damc {
namespace {

constexpr std::string_view kEncoder = "Q.encoder.net.";
constexpr const char* kDenoiser = "Q.p.";

StateDict encoder_weights(const StateDict& checkpoint) {
  StateDict weights;
  for (const auto& [name, tensor] : checkpoint) {
    if (name.starts_with(kEncoder)) weights[name.substr(kEncoder.size())] = tensor;
  }
  return weights;
}

/// The denoiser of W+ of `latents` numbers with the widths that a checkpoint has.
std::unique_ptr<Denoiser> make_denoiser(const StateDict& checkpoint, std::int64_t latents, Device device,
                                        Dtype dtype) {
  const Pretrained expected{"the sampler", "a checkpoint of DAMC for GAN inversion has them", {}, {}};
  const auto size_of = [&](const std::string& name, int dimension) {
    return telling(expected, checkpoint, kDenoiser + name, 2).size(dimension);
  };
  const std::int64_t nz = size_of("B", 0);
  if (nz != latents || nz % 2 != 0) {
    user_error(fmt::format("the sampler's W+ is of {} numbers, its encoder's of {}", nz, latents),
               expected.hint);
  }
  Generator random(1, 0, device);
  Init init(random, dtype);
  auto denoiser = std::make_unique<Denoiser>(
      nz, nz,
      DenoiserWidths{size_of("in_layers.0._layer.0.weight", 0), size_of("in_layers.1._layer.0.weight", 0)},
      init);
  denoiser->load_state_dict(checkpoint, kDenoiser);
  return denoiser;
}

}  // namespace

InversionSampler::InversionSampler(const StateDict& checkpoint, Device device, Dtype dtype,
                                   const InDomainEncoder* other)
    : other_(other) {
  const StateDict weights = encoder_weights(checkpoint);
  if (!weights.empty() || !other) own_ = std::make_unique<InDomainEncoder>(weights, device, dtype);
  denoiser_ = make_denoiser(checkpoint, encoder().sizes().latents, device, dtype);
}

Tensor InversionSampler::sample(const Tensor& x, const AncestralOptions& options, Generator& random) const {
  const Tensor condition = encoder().forward(x).value();
  const Tensor noise = random.normal(condition.shape(), condition.dtype());
  return ancestral_sample(*denoiser_, noise, condition, {}, options, &random);
}

}  // namespace damc
