/// Whether chains have mixed, judged from a number that each of them gives at every step, such as E(z): a series [T, K]
/// over T >= 4 steps of K >= 1 chains. All of these throw Error for a series of another shape.
#pragma once

#include "tensor/tensor.h"

namespace damc {

struct AutocorrelationTime {
  double steps;   ///< 1 + 2 sum_t rho_t: so many steps are worth one independent draw
  bool resolved;  ///< otherwise the chains are too short, and `steps` is only a lower bound
};

/// rho_t are autocovariances about the mean of all chains, so that chains that stay apart count as unmixed. The sum ends
/// at the first lag t >= 5 times its value, Sokal's window (Monte Carlo Methods in Statistical Mechanics, 1996, Section 3),
/// but not before 5: chains that swing to and fro have values below 1. At lag T/2 or 2,000 it ends at the latest, and is then
/// not resolved. NaN where the series never changes, or is so short that the sum is not positive.
AutocorrelationTime autocorrelation_time(const Tensor& series);

/// Split R-hat: the variance of a chain's half and that between the halves of all chains, against the former alone
/// (Gelman et al., Bayesian Data Analysis, 3rd edition, Section 11.4). 1 where all halves agree; NaN where the series
/// never changes.
double split_rhat(const Tensor& series);

/// Rank-normalised split R-hat (Vehtari et al., Rank-normalization, folding, and localization: an improved R-hat, 2021,
/// Section 4): the larger of that of the normal scores of the ranks, and that of the scores of the distances from the
/// median, which sees chains that differ in scale alone. No tail is too heavy for it. NaN where the series never
/// changes.
double rank_rhat(const Tensor& series);

/// Mean of the second half of the steps less that of the first, in its standard errors, which the K >= 2 chains give:
/// they are independent, their steps are not. Within some +-3 for chains that are stationary from the start. NaN for one
/// chain, or where nothing changes.
double drift(const Tensor& series);

/// All of them.
struct Mixing {
  AutocorrelationTime time;
  double rhat;   ///< rank_rhat()
  double drift;  ///< in standard errors
};
Mixing mixing(const Tensor& series);

/// An R-hat above this says that chains have not mixed (Gelman et al., Section 11.5).
inline constexpr double kLargestRhat = 1.1;

}  // namespace damc
