/// Pooling: the largest or the mean element of each window of an image, channel by channel.
#pragma once

#include <optional>

#include "tensor/conv_geometry.h"

namespace damc {

/// Windows, by PyTorch's names and defaults.
struct PoolOptions {
  Pair kernel;
  std::optional<Pair> stride = {};  ///< without one, the kernel's size
  Pair padding = 0;                 ///< at most half the kernel
  bool count_include_pad = true;    ///< of means: whether the padding counts as zeros
};

enum class PoolOp : std::uint8_t { max, mean };

struct Pooling {
  PoolOp op;
  bool count_include_pad;
  ConvGeometry windows;  ///< in_c = out_c; its filter is the window
};

/// The pooling of images x [N, H, W, C]. Throws Error with the sizes when they do not fit.
Pooling pooling(PoolOp op, const Shape& x, const PoolOptions& options);

}  // namespace damc
