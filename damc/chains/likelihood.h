/// How observations come from latent vectors, p(x given z) = N(x; G(z), sigma^2 I), and what that says of z.
#pragma once

#include "damc/chains/prior.h"
#include "nn/layers.h"

namespace damc {

class Likelihood {
 public:
  /// Keeps a reference to the decoder, G: z [N, nz] -> x [N, ...].
  Likelihood(const Layer& decoder, double sigma) : decoder_(decoder), sigma_(sigma) {}

  Variable decode(const Variable& z) const { return decoder_.forward(z); }
  double sigma() const { return sigma_; }
  /// -log p(x given z) without its constant, |x - G(z)|^2 / (2 sigma^2), summed over all rows to a scalar.
  Variable misfit(const Variable& z, const Tensor& x) const;
  /// What the decoder learns by: |G(z) - x|^2 summed over an observation, mean over the rows. Its gradient is Eq.
  /// (2)'s for beta up to the factor 1/(2 sigma^2).
  Variable loss(const Variable& z, const Tensor& x) const;
  std::vector<Tensor> weights() const { return weights_of(decoder_); }

 private:
  const Layer& decoder_;
  double sigma_;
};

/// p(z given x) of observations x [N, ...], one for each row of z. A chain on it is a posterior chain:
/// U(z) = |x - G(z)|^2 / (2 sigma^2) + E(z) + |z|^2/2.
class Posterior final : public Potential {
 public:
  /// Keeps references to likelihood and prior.
  Posterior(const Likelihood& likelihood, const Prior& prior, Tensor x)
      : likelihood_(likelihood), prior_(prior), x_(std::move(x)) {}
  Variable energy(const Variable& z) const override;
  Tensor gradient(const Tensor& z) const override;
  std::vector<Tensor> weights() const override;

 private:
  const Likelihood& likelihood_;
  const Prior& prior_;
  Tensor x_;
};

}  // namespace damc
