/// z of an observation by an encoder, and what encoder and decoder learn by together, through z.
///
/// An encoder maps x [N, ...] to [N, 2 nz], mean and log variance of q(z given x) = N(mean, variance), or to [N, nz], a
/// point.
#pragma once

#include "damc/chains/likelihood.h"
#include "tensor/random.h"

namespace damc {

struct Encoded {
  Variable z;             ///< [N, nz], drawn from q(z given x)
  Variable mean;          ///< [N, nz]
  Variable log_variance;  ///< [N, nz]; undefined for a point
};

/// z = mean + exp(log_variance / 2) eps, eps ~ N(0, I); of a point z = mean, and nothing is drawn.
Encoded encode(const Layer& encoder, const Tensor& x, std::int64_t nz, Generator& random);
/// The mean alone [N, nz]: z as it is evaluated.
Tensor encoded_mean(const Layer& encoder, const Tensor& x, std::int64_t nz);

/// KL(q || N(0, I)) = sum (mean^2 + variance - 1 - log variance) / 2, mean over the rows.
Variable kl_divergence(const Encoded& q);

/// What an ELBO is up to its constant: |x - G(z)|^2 / (2 sigma^2) + KL, mean over the rows.
Variable negative_elbo(const Likelihood& likelihood, double sigma, const Encoded& q, const Tensor& x);

/// The deviation of the noise where it is learned, as its logarithm.
class NoiseScale final : public Module {
 public:
  explicit NoiseScale(Init& init) : log_(init.constant({1}, 0.0)) {}
  /// log g, not below -6: a decoder without error would lead it to minus infinity.
  Variable log() const { return clamp(log_, -6.0, 20.0); }
  void visit(const std::string& prefix, const Visitor& visitor) const override {
    visitor(prefix + "log", log_);
  }

 private:
  Variable log_;
};

/// The negative ELBO in full with learned noise g (Dai and Wipf, 2019): |x - G(z)|^2 / (2 g^2) + D log g + D/2 log 2 pi +
/// KL of an observation of D numbers, mean over the rows.
Variable negative_elbo(const Likelihood& likelihood, const NoiseScale& noise, const Encoded& q,
                       const Tensor& x);

/// A regularised autoencoder's loss (Ghosh et al., 2020): |x - G(z)|^2 + latent_l2 |z|^2, mean over the rows, +
/// filter_l2 times the sum of squares of G's weights, biases left out.
Variable regularised_error(const Likelihood& likelihood, const Module& decoder, double latent_l2,
                           double filter_l2, const Encoded& q, const Tensor& x);

}  // namespace damc
