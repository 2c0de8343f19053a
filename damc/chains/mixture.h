/// A mixture of Gaussians: how it is fitted to points, and what it is as a prior.
#pragma once

#include "damc/chains/prior.h"
#include "tensor/random.h"

namespace damc {

struct MixtureOptions {
  std::int64_t components = 10;
  double tolerance = 1e-3;  ///< of the mean log likelihood: a sweep that gains less is the last
  int most_sweeps = 2000;
  double ridge = 1e-6;  ///< added to the variances
  std::uint64_t seed = 1;
};

/// All in f64 on the CPU.
struct Mixture {
  Tensor weights;                       ///< [K]
  Tensor means;                         ///< [K, d]
  Tensor covariances;                   ///< [K, d, d]
  std::vector<double> log_likelihoods;  ///< means over the points, before every sweep and after the last
};

/// By expectation-maximisation from k-means' clusters, for points z [n, d]. Throws Error when there are fewer points than
/// components.
Mixture fit_mixture(const Tensor& z, const MixtureOptions& options);

/// log p of every row of z [n, d] under it, [n] in f64.
std::vector<double> log_density(const Mixture& mixture, const Tensor& z);

/// The same as a prior of latent vectors, on any device: N(0, I) until it is set.
class MixturePrior final : public Prior, public Module {
 public:
  MixturePrior(std::int64_t components, std::int64_t nz, Init& init);
  /// Throws Error for one of other sizes, or whose covariances are none, and changes nothing then.
  void set(const Mixture& mixture);

  /// -log p(z) - |z|^2/2
  Variable energies(const Variable& z) const override;
  std::vector<Tensor> weights() const override { return weights_of(*this); }
  /// n samples [n, nz]
  Tensor sample(std::int64_t n, Generator& random) const;
  void visit(const std::string& prefix, const Visitor& visitor) const override;

 private:
  std::int64_t components_, nz_;
  Variable weights_, means_;  // [K], [K, nz]
  Variable factors_;          // [K, nz, nz], lower, L of each covariance L L'
  Variable inverses_;         // [K, nz, nz], of those
  Variable constants_;        // [K], log density of each at its mean, times its weight
};

}  // namespace damc
