/// The amortised sampler q_phi (Section 3.1): one latent DDPM that is q(z given x) under the embedding of an
/// observation and q(z) under the unconditional embedding.
///
/// x [N, ...] is what the encoder takes (images N,H,W,C), z [N, nz], xemb [N, nemb]. Parameter names are the
/// authors' (under "Q.").
#pragma once

#include "damc/choices.h"
#include "damc/nets/denoiser.h"
#include "damc/sampler/ancestral.h"
#include "nn/layers.h"

namespace damc {

struct AmortizerOptions {
  std::int64_t nz, nemb;
  DenoiserWidths widths = DenoiserWidths::scaled(1.0);
  Unconditional unconditional = Unconditional::noise;
  AncestralOptions sampling = {};
};

class Amortizer final : public Module {
 public:
  /// `encoder` maps observations to embeddings [N, nemb]; its parameters are named "encoder.<name>".
  Amortizer(std::unique_ptr<Layer> encoder, const AmortizerOptions& options, Init& init);

  /// Embedding of observations, the condition of q(z given x).
  Variable embed(const Variable& x) const { return encoder_->forward(x); }
  /// The unconditional embedding of n samples; the noise kind draws from `random`.
  Variable unconditional(std::int64_t n, Generator& random) const;

  /// Diffusion loss 0.5 |eps - eps_hat|^2 of the z's under the embedding xemb: summed over nz, mean over the
  /// batch (the expectation in Eq. (8)); t ~ U(0, 1) and eps ~ N(0, I) are drawn from `random`.
  Variable loss(const Tensor& z, const Variable& xemb, Generator& random) const;
  /// The same at given times t [N] and noise eps [N, nz].
  Variable loss_at(const Tensor& z, const Variable& xemb, const Tensor& t, const Tensor& eps) const;

  /// z ~ q(z given x), one for each observation
  Tensor sample(const Tensor& x, Generator& random) const { return sample(x, x.size(0), random); }
  /// n samples z ~ q(z given x): one for each of n observations, or all for a single one (cheaper than
  /// repeating it).
  Tensor sample(const Tensor& x, std::int64_t n, Generator& random) const;
  /// n samples z ~ q(z)
  Tensor sample_prior(std::int64_t n, Generator& random) const;

  const Denoiser& denoiser() const { return p_; }
  const AncestralOptions& sampling() const { return plan_.options(); }
  void visit(const std::string& prefix, const Visitor& visitor) const override;

 private:
  AmortizerOptions options_;
  std::unique_ptr<Layer> encoder_;
  Denoiser p_;
  Sequential prior_emb_;
  Variable null_token_;  // [1, nemb]
  AncestralPlan plan_;
};

/// mask * a + (1 - mask) * b, mask [N] of zeros and ones, a and b [N, nemb].
Variable blend(const Tensor& mask, const Variable& a, const Variable& b);

}  // namespace damc
