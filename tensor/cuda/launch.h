/// How work is laid out on a GPU and how operands are described to its libraries: plain functions without any
/// CUDA in them, so that they are tested on machines without a GPU.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <vector>

#include "tensor/backend.h"
#include "tensor/cuda/loops.h"

namespace damc {

/// Blocks and threads of a grid-stride loop over n elements on a chip with `processors` multiprocessors: at
/// most a few full waves, at least one block.
struct LoopLaunch {
  unsigned blocks, threads;
};
LoopLaunch loop_launch(std::int64_t n, int processors);

/// A block for each of `pieces` pieces (tensor_list.h), or a few full waves that take them in turn.
LoopLaunch pieces_launch(std::int64_t pieces, int processors);

/// Out [outer, inner] = sum over `reduced` of terms, in two passes: blocks.y partial sums of `chunk` terms per
/// output, then their sum. Neighbouring threads take neighbouring outputs (inner > 1) or neighbouring terms
/// (inner = 1), so that loads coalesce; see ReduceShare in loops.h. How a sum is cut depends on its shape only.
struct ReduceLaunch {
  std::int64_t chunk;
  GridIndex blocks, threads;
};
ReduceLaunch reduce_launch(std::int64_t outer, std::int64_t reduced, std::int64_t inner);
/// The second pass, over the partial sums [outer, chunks, inner] of the first: whole blocks again, or one thread would
/// wait for a thousand loads of its own.
ReduceLaunch combine_launch(std::int64_t outer, std::int64_t chunks, std::int64_t inner);

/// out = a b, row-major, as one call of a column-major BLAS (batched by strides), in its terms: what it sees is
/// out^T = b^T a^T, so its first operand is b.
///
/// C = op(A) op(B): C is m x n, op(A) m x k, op(B) k x n; element (i, j) of a stored matrix lies at i + ld j.
struct GemmCall {
  struct Operand {
    const void* data;
    bool transposed;
    std::int64_t ld, batch_stride;
  };
  std::int64_t m, n, k, batches;
  Operand A, B;
  void* C;
  std::int64_t ldc, batch_stride_c;
};
/// a [.., M, K], b [.., K, N] with unit stride in one of the last two dimensions; out [.., M, N] contiguous.
GemmCall gemm_call(const Tensor& a, const Tensor& b, const Tensor& out);

/// The same product as cublasLt takes it, its bias added on the way: D = op(A) op(B) + bias, column-major,
/// one bias for each row of D. A layout is that of the matrix as it is stored, before op().
struct LtProduct {
  struct Layout {
    std::uint64_t rows, cols;
    std::int64_t ld;
    auto operator<=>(const Layout&) const = default;
  };
  Layout A, B, D;
  bool transposed_a, transposed_b;
  /// Bytes that the operands' addresses are multiples of; an algorithm is only good for what it was told.
  unsigned alignment_a, alignment_b, alignment_d, alignment_bias;
  auto operator<=>(const LtProduct&) const = default;
};
/// What there is to choose an algorithm by: equal calls on equal addresses or others as well aligned are equal.
LtProduct lt_product(const GemmCall& call, const void* bias);

/// Whether cublasLt can finish a product in its own pass. It offers bias alone, but neither of the activations
/// that are fused here: with one, a pass after the product is needed anyway, which then adds the bias, too.
bool lt_finishes(const Tensor& bias, const Unary& activation, const Tensor& out);

/// The largest power of two, at most 256, that divides the address.
unsigned alignment(const void* address);

/// Where the channels lie in memory: last, as everywhere in this engine (N,H,W,C), or second (N,C,H,W).
enum class Channels { last, second };

/// The layouts in which cuDNN may be asked for a convolution, the better first: it convolves doubles with the
/// channels second only, and for some shapes in true f32 it may have no other engine either.
std::vector<Channels> conv_layouts(Dtype dtype);

enum class ConvPass { forward, grad_x, grad_w };

/// A pass of a convolution that is a matrix product (ConvGeometry::is_gemm) as out = a b: views of the contiguous
/// operands, input x, filter and output y. cuDNN's input gradient would go over all taps of every pixel, of which one
/// counts: for the layer that makes 8x8 pixels from one, 64 times the work.
struct ConvProduct {
  Tensor a, b, out;
};
ConvProduct conv_product(ConvPass pass, const ConvGeometry& s, const Tensor& x, const Tensor& filter,
                         const Tensor& y);

/// Types of a convolution: of both images and of the filter or its gradient; what is summed is computed(images).
/// f32 operands may be multiplied as tf32.
struct ConvTypes {
  Dtype images, filter;
  MatmulPrecision precision = MatmulPrecision::f32;
  auto operator<=>(const ConvTypes&) const = default;
};
/// The same for a precision that was asked for, which concerns f32 images alone.
inline ConvTypes conv_types(Dtype images, Dtype filter, MatmulPrecision asked) {
  return {images, filter, images == Dtype::f32 ? asked : MatmulPrecision::f32};
}

/// Whether a pass goes by columns and a product (columns.h), not by cuDNN. Measured on an H100 (cuDNN 9.19, 128 images):
/// its engines in true f32 take 3 to 6 times as long over the input gradient of kernel 4 and stride 2, 1.4 to 3 times
/// over the other passes. In tf32 its input gradients lag, up to 6 times, where the sum is long enough for the columns
/// to be worth their way through memory. Not where a kernel moves pixel by pixel over many channels, since columns
/// would hold each number kH kW times, nor for a weight gradient with too many columns: its sum is over all images.
bool conv_by_columns(ConvPass pass, const ConvGeometry& s, const ConvTypes& types);
/// Images whose columns fit into a second-level cache, or nearly; at least one.
std::int64_t images_at_once(const ConvGeometry& s);
/// Bytes of the columns that a pass holds at once.
std::size_t columns_at_once(ConvPass pass, const ConvGeometry& s);

/// The form in which cuDNN computes a convolution.
struct ConvForm {
  Channels channels;
  Dtype filter;  ///< as it is read or written there
};
/// The forms in which it may be asked for one, the better first. It may not write the f32 gradient of a filter from
/// bf16 images; then that comes in bf16.
std::vector<ConvForm> conv_forms(ConvPass pass, const ConvTypes& types);

/// Sizes and strides in the order cuDNN wants them: N,C,H,W and K,C,R,S, wherever the channels lie. It takes the number of
/// groups from the channels of image and filter.
struct ConvDescriptors {
  std::array<std::int64_t, 4> x_dims, x_strides, w_dims, w_strides, y_dims, y_strides;
  std::array<std::int64_t, 2> padding, stride, dilation;
};
ConvDescriptors conv_descriptors(const ConvGeometry& s, Channels channels);

}  // namespace damc
