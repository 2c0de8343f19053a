/// Convolutions as cuDNN defines them.
#pragma once

#include <array>

#include "tests/stand_in/numbers.h"

namespace stand_in {

/// Four dimensions wherever they lie: images N,C,H,W, filters K,C,R,S.
struct Array {
  void* data;
  cudaDataType_t type;
  std::array<std::int64_t, 4> dims, strides;
};

enum class Pass { forward, data, filter };

/// y = alpha conv(x, w) + beta y, or one of its gradients: the pass says which of x, w and y is written. Not read if beta
/// is 0. Channels are in as many groups as x has times the channels of w.
struct Convolution {
  Pass pass;
  Array x, w, y;
  std::array<std::int64_t, 2> padding, stride, dilation;
  bool flipped;       // a convolution, not a cross-correlation
  bool f64;           // whether sums are f64, else f32
  Rounding rounding;  // of operands
  double alpha, beta;
};

/// Computes it, where its memory can be touched.
void convolve(const Convolution& convolution);

/// Bytes from an array's first element to the end of its last.
inline std::size_t extent(const Array& array) {
  std::int64_t last = 0;
  for (std::size_t d = 0; d < 4; ++d) last += (array.dims[d] - 1) * array.strides[d];
  return static_cast<std::size_t>(last + 1) * size_of(array.type);
}

}  // namespace stand_in
