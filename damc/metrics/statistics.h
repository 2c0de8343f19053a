/// Mean and covariance of feature vectors: all that a Frechet distance knows of a set of images.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace damc {

/// Of n feature vectors of d numbers. All on the CPU.
struct Statistics {
  std::int64_t n = 0;
  Tensor mean;        ///< f64 [d]
  Tensor covariance;  ///< f64 [d, d], divisor n - 1
  Tensor features;    ///< [n, d] as they were given; undefined where they were not kept
};

/// Collects statistics batch by batch. Sums are taken in f64 of differences to the first batch's mean, so that features
/// whose mean is large beside their deviation lose nothing.
class StatisticsStream {
 public:
  /// With `keep` the features themselves are kept as well, n d numbers.
  explicit StatisticsStream(bool keep) : keep_(keep) {}

  /// Adds features [B, d] of any float type and device. Throws Error for another d than before, or a number that is not
  /// finite.
  void add(const Tensor& features);
  /// Throws Error for fewer than two feature vectors.
  Statistics finish();

 private:
  void fold();

  bool keep_;
  std::int64_t n_ = 0, waiting_ = 0;
  Tensor shift_;     // [d]
  Tensor sum_;       // [d], of x - shift
  Tensor products_;  // [d, d], of (x - shift) (x - shift)^T
  std::vector<Tensor>
      batches_;  // x - shift, not yet in the products: of a few rows they would take as long as of many
  std::vector<Tensor> kept_;
};

/// Statistics of features [n, d], which are kept.
Statistics statistics(const Tensor& features);

/// Differences of features [n, d] to their mean, f64: [n, d].
Tensor centred(const Statistics& of);

}  // namespace damc
