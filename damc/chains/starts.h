/// Where the chains of an iteration begin.
#pragma once

#include "damc/sampler/amortized_sampler.h"

namespace damc {

class Starts {
 public:
  virtual ~Starts() = default;
  /// z0 [B, nz] of the posterior chains given x [B, ...].
  virtual Tensor posterior(const Tensor& x, Generator& random) const = 0;
  /// Where the prior chains of the same iteration begin, [B', nz]: equally many for each row of z0, in their order.
  virtual Tensor prior(const Tensor& z0, Generator& random) const = 0;
};

/// Samples of the target sampler, line 3 of Algorithm 1.
class FromSampler final : public Starts {
 public:
  /// Keeps a reference to the sampler. Differs: besides the samples z0 as many prior chains start from N(0, I), as the
  /// authors' code and Appendix B have it; without `noise_starts` none does.
  FromSampler(const AmortizedSampler& sampler, bool noise_starts)
      : sampler_(sampler), noise_starts_(noise_starts) {}
  Tensor posterior(const Tensor& x, Generator& random) const override;
  Tensor prior(const Tensor& z0, Generator& random) const override;

 private:
  const AmortizedSampler& sampler_;
  bool noise_starts_;
};

/// N(0, I), anew in every iteration: short-run chains.
class FromNoise final : public Starts {
 public:
  explicit FromNoise(std::int64_t nz) : nz_(nz) {}
  Tensor posterior(const Tensor& x, Generator& random) const override;
  Tensor prior(const Tensor& z0, Generator& random) const override;

 private:
  std::int64_t nz_;
};

}  // namespace damc
