/// How the Langevin chains of a training do: whether their steps are stable, and how far they are from mixing.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "damc/model.h"
#include "optim/stats.h"

namespace damc {

/// Of chains as training runs them on images x [B, H, W, C], B > 0, from samples of the target sampler where it starts
/// them there, and else from N(0, I); costs about half an iteration, changes nothing, and gives the same numbers for the
/// same weights and images:
///   stability_posterior, _prior  stability numbers (chains/stability.h), where the chains start; above 2 they diverge
///   tau_posterior, _prior        autocorrelation time in steps (chains/diagnostics.h) of U(z) given the first image, and
///                                of E(z); a lower bound where it comes near the chains' length
///   rhat_posterior, _prior       R-hat of the same series: near 1 only if chains so short forget where they start
///   drift_posterior, _prior      their drift in standard errors: near 0 if chains start where they end
/// The prior's numbers where it learns; chains of fewer than 3 steps have a stability alone.
Stats diagnose(const Model& model, const Tensor& x);

/// Over the diagnoses of a run: which chains have become unstable, and which no longer are.
class StabilityAlarms {
 public:
  /// A line for each chain whose stability number among `stats` is too large and was not before, with what helps; and for
  /// each whose number was and no longer is.
  std::vector<std::string> news(const Config& config, const Stats& stats);

 private:
  std::set<std::string> unstable_;
};

}  // namespace damc
