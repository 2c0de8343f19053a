/// Kernel distance (KID, Binkowski et al., 2018): the unbiased squared maximum mean discrepancy of two sets of features
/// under the kernel (x.y/d + 1)^3. It has no bias for few images, unlike a Frechet distance, and may be negative.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace damc {

/// The protocol of clean-fid and StyleGAN2-ADA: the mean over subsets, each drawn without replacement from either set.
struct KidOptions {
  std::int64_t subsets = 100;
  std::int64_t subset_size = 1000;  ///< or all images of the smaller set
  std::uint64_t seed = 1;           ///< of the drawing
};

struct Kid {
  double value;              ///< mean over the subsets
  double deviation;          ///< standard deviation over the subsets, divisor their number
  std::int64_t subset_size;  ///< as taken
};

/// Of features a [n, d] and b [m, d] on the CPU, in f64. Throws Error for features of different length, or fewer than
/// two images.
Kid kernel_distance(const Tensor& a, const Tensor& b, const KidOptions& options = {});

}  // namespace damc
