/// Precision and recall of generated images by nearest neighbours in a feature space (Kynkaanniemi et al., 2019).
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace damc {

struct PrecisionRecall {
  double precision;  ///< share of generated images inside the manifold of the real ones
  double recall;     ///< share of real images inside the manifold of the generated ones
};

/// A set's manifold is the union of the balls around its features out to their k-th nearest neighbour of the same set,
/// the edge included. real [n, d], generated [m, d] on the CPU; distances in f64. Throws Error for features of different
/// length, or a set of k images or fewer.
PrecisionRecall precision_recall(const Tensor& real, const Tensor& generated, std::int64_t k = 3);

}  // namespace damc
