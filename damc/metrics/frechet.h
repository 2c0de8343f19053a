/// The Frechet distance between two sets of features, each taken as a Gaussian (Dowson and Landau, 1982; of Inception
/// features: FID, Heusel et al., 2017).
#pragma once

#include "damc/metrics/statistics.h"

namespace damc {

struct FrechetDistance {
  double value;    ///< |mu_a - mu_b|^2 + tr A + tr B - 2 tr (A^1/2 B A^1/2)^1/2, squared as always
  double means;    ///< its first term
  double clipped;  ///< sum of the covariances' eigenvalues that rounding made negative, taken as 0
};

/// The trace is the sum of the singular values of F G^T, where A = F^T F and B = G^T G, all in f64. F comes from A's
/// eigenvalues; of no more images than features, whose A is singular and whose eigenvalues' rounding would cost up to
/// 1e-3, F is the images' centred features, if they were kept: that is exact. Throws Error for features of different
/// length.
FrechetDistance frechet_distance(const Statistics& a, const Statistics& b);

}  // namespace damc
