/// How work is laid out on a GPU and how operands are described to its libraries: plain functions without any
/// CUDA in them, so that they are tested on machines without a GPU.
#pragma once

#include <array>
#include <cstdint>

#include "tensor/conv_geometry.h"
#include "tensor/tensor.h"

namespace damc {

/// Blocks and threads of a grid-stride loop over n elements on a chip with `processors` multiprocessors: at
/// most a few full waves, at least one block.
struct LoopLaunch {
  unsigned blocks, threads;
};
LoopLaunch loop_launch(std::int64_t n, int processors);

/// Out [outer, inner] = sum over `reduced` of terms, in two passes: `chunks` partial sums of `chunk` terms
/// per output, then their sum. A block has `lanes` x `rows` threads: neighbouring lanes take neighbouring
/// outputs (inner > 1) or neighbouring terms (inner = 1), so that loads coalesce. How a sum is cut depends on
/// its shape only.
struct ReduceLaunch {
  std::int64_t chunk, chunks;
  std::int64_t inner_blocks;  ///< blocks over the inner dimension
  unsigned lanes, rows;
};
ReduceLaunch reduce_launch(std::int64_t outer, std::int64_t reduced, std::int64_t inner);

/// out = a b, row-major, as one column-major BLAS call (batched by strides): the library sees out^T = b^T
/// a^T, so its first operand is b. n counts rows of b^T, m columns of a^T.
struct GemmCall {
  struct Operand {
    bool transposed;  ///< in the column-major library's sense
    std::int64_t ld, batch_stride;
  };
  std::int64_t m, n, k, batches;  ///< out is [batches, m, n]
  Operand first, second;          ///< b, a
};
/// a [.., M, K], b [.., K, N] with unit stride in one of the last two dimensions.
GemmCall gemm_call(const Tensor& a, const Tensor& b);

/// Sizes and strides in the order cuDNN wants them (N,C,H,W and K,C,R,S) of tensors that lie channels-last.
struct ConvDescriptors {
  std::array<std::int64_t, 4> x_dims, x_strides, w_dims, w_strides, y_dims, y_strides;
  std::array<std::int64_t, 2> padding, stride, dilation;
};
ConvDescriptors conv_descriptors(const ConvGeometry& s);

}  // namespace damc
