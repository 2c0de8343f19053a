#include "tensor/pooling.h"

#include "tensor/error.h"

namespace damc {

Pooling pooling(PoolOp op, const Shape& x, const PoolOptions& options) {
  const Pair kernel = options.kernel, padding = options.padding, stride = options.stride.value_or(kernel);
  ENSURE(x.ndim() == 4 && kernel.h >= 1 && kernel.w >= 1 && 2 * padding.h <= kernel.h &&
             2 * padding.w <= kernel.w,
         "pooling: image {} (N,H,W,C), kernel {}, padding {} (at most half of it)", x.str(), kernel.str(),
         padding.str());
  ENSURE(
      stride.h >= 1 && stride.w >= 1 && x[1] + 2 * padding.h >= kernel.h && x[2] + 2 * padding.w >= kernel.w,
      "pooling: image {} with padding {} has no room for kernel {}, stride {}", x.str(), padding.str(),
      kernel.str(), stride.str());
  ConvGeometry windows = conv_geometry({x[0], x[1], x[2], 1}, {1, kernel.h, kernel.w, 1}, {stride, padding});
  windows.in_c = windows.out_c = x[3];
  return {op, options.count_include_pad, windows};
}

}  // namespace damc
