/// Which taps of a convolution's filter reach a pixel of its input.
#pragma once

#include <cstdint>

#include "tensor/host_device.h"

namespace damc {

/// The taps that reach one input coordinate: kernel index kernel, kernel + stride, .. while the output index falls by
/// one; `count` of them, none if it is not positive.
struct TapRange {
  std::int64_t kernel, output, count;
};

DAMC_HD inline TapRange taps_of(std::int64_t in, std::int64_t stride, std::int64_t padding,
                                std::int64_t kernel, std::int64_t out_size) {
  const std::int64_t shifted = in + padding;
  std::int64_t o = quotient(shifted, stride), k = shifted - o * stride;
  if (o >= out_size) {
    const std::int64_t skip = o - (out_size - 1);
    k += skip * stride;
    o -= skip;
  }
  const std::int64_t by_kernel = k < kernel ? quotient(kernel - 1 - k, stride) + 1 : 0;
  return {k, o, by_kernel < o + 1 ? by_kernel : o + 1};
}

}  // namespace damc
