/// The DAMC sampler of GAN inversion (Section 5.4): q(W+ given x), as a checkpoint of the authors holds it, or one of
/// `damc train --preset invert-ffhq`. Its condition is the W+ of the in-domain encoder; its denoiser is of any width, that of its file (1024 throughout).
#pragma once

#include <memory>

#include "damc/nets/denoiser.h"
#include "damc/nets/in_domain_encoder.h"
#include "damc/sampler/ancestral.h"

namespace damc {

class InversionSampler {
 public:
  /// From "Q.p.*" and "Q.encoder.net.*"; without the latter the condition is that of `other`, which it keeps a reference
  /// to. Throws UserError naming a tensor that is missing or has another shape.
  explicit InversionSampler(const StateDict& checkpoint, Device device = {}, Dtype dtype = Dtype::f32,
                            const InDomainEncoder* other = nullptr);

  const InDomainEncoder& encoder() const { return own_ ? *own_ : *other_; }
  const Denoiser& denoiser() const { return *denoiser_; }
  /// W+ [N, latents], one for each image x [N, H, W, 3] in [-1, 1].
  Tensor sample(const Tensor& x, const AncestralOptions& options, Generator& random) const;

 private:
  const InDomainEncoder* other_;
  std::unique_ptr<InDomainEncoder> own_;
  std::unique_ptr<Denoiser> denoiser_;
};

}  // namespace damc
