#include "tensor/cuda/launch.h"

#include <algorithm>
#include <utility>

namespace damc {
namespace {

constexpr std::int64_t kLoopThreads = 256;  // of a block that loops

constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// A matrix operand of the column-major library: the row-major matrix with unit column stride is its
/// transpose.
GemmCall::Operand operand(const Tensor& t) {
  const int row = t.ndim() - 2, col = t.ndim() - 1;
  const Shape& strides = t.strides();
  const bool row_major = strides[col] == 1 || t.shape()[col] == 1;
  const std::int64_t least = std::max<std::int64_t>(1, row_major ? t.shape()[col] : t.shape()[row]);
  return {t.raw(), !row_major, std::max(least, row_major ? strides[row] : strides[col]),
          t.ndim() == 3 ? strides[0] : 0};
}

/// Threads of a block that sums; see ReduceShare.
GridIndex sum_threads(std::int64_t inner) { return inner > 1 ? GridIndex{32, 8, 1} : GridIndex{256, 1, 1}; }

std::int64_t inner_blocks(std::int64_t inner) {
  return inner > 1 ? divide_up(inner, sum_threads(inner).x) : 1;
}

ReduceLaunch sum_in_chunks(std::int64_t outer, std::int64_t reduced, std::int64_t inner, std::int64_t size) {
  constexpr std::int64_t most_z = 65535;  // of gridDim.z
  const std::int64_t chunk = std::max<std::int64_t>(1, size);
  const std::int64_t chunks = std::max<std::int64_t>(1, divide_up(reduced, chunk));
  return {chunk,
          {static_cast<unsigned>(inner_blocks(inner)), static_cast<unsigned>(chunks),
           static_cast<unsigned>(std::min(outer, most_z))},
          sum_threads(inner)};
}

/// Of one image's columns in f32.
std::int64_t column_bytes(const ConvGeometry& s) {
  return s.out_h * s.out_w * s.taps() * s.in_c * static_cast<std::int64_t>(sizeof(float));
}

/// Strides in the order n, c, h, w.
std::array<std::int64_t, 4> image_strides(std::int64_t c, std::int64_t h, std::int64_t w, Channels channels) {
  if (channels == Channels::last) return {h * w * c, 1, w * c, c};
  return {c * h * w, h * w, w, 1};
}

}  // namespace

LoopLaunch loop_launch(std::int64_t n, int processors) {
  return pieces_launch(divide_up(n, kLoopThreads), processors);
}

LoopLaunch pieces_launch(std::int64_t pieces, int processors) {
  constexpr std::int64_t waves = 8;
  return {static_cast<unsigned>(std::clamp<std::int64_t>(pieces, 1, waves * std::max(1, processors))),
          static_cast<unsigned>(kLoopThreads)};
}

ReduceLaunch reduce_launch(std::int64_t outer, std::int64_t reduced, std::int64_t inner) {
  constexpr std::int64_t wanted_tasks = 1024;        // enough blocks to fill any present chip
  const std::int64_t least = inner > 1 ? 64 : 1024;  // terms that make a partial sum worth its block
  const std::int64_t tasks = std::max<std::int64_t>(1, outer * inner_blocks(inner));
  const std::int64_t wanted =
      std::clamp<std::int64_t>(divide_up(wanted_tasks, tasks), 1, std::max<std::int64_t>(1, reduced / least));
  return sum_in_chunks(outer, reduced, inner, divide_up(reduced, wanted));
}

ReduceLaunch combine_launch(std::int64_t outer, std::int64_t chunks, std::int64_t inner) {
  return sum_in_chunks(outer, chunks, inner, chunks);
}

GemmCall gemm_call(const Tensor& a, const Tensor& b, const Tensor& out) {
  const std::int64_t rows = out.size(-2), columns = out.size(-1);
  return {.m = columns,
          .n = rows,
          .k = a.size(-1),
          .batches = out.ndim() == 3 ? out.size(0) : 1,
          .A = operand(b),
          .B = operand(a),
          .C = out.raw(),
          .ldc = columns,
          .batch_stride_c = rows * columns};
}

LtProduct lt_product(const GemmCall& call, const void* bias) {
  const auto layout = [](std::int64_t rows, std::int64_t cols, bool transposed, std::int64_t ld) {
    if (transposed) std::swap(rows, cols);
    return LtProduct::Layout{static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols), ld};
  };
  return {.A = layout(call.m, call.k, call.A.transposed, call.A.ld),
          .B = layout(call.k, call.n, call.B.transposed, call.B.ld),
          .D = layout(call.m, call.n, false, call.ldc),
          .transposed_a = call.A.transposed,
          .transposed_b = call.B.transposed,
          .alignment_a = alignment(call.A.data),
          .alignment_b = alignment(call.B.data),
          .alignment_d = alignment(call.C),
          .alignment_bias = alignment(bias)};
}

bool lt_finishes(const Tensor& bias, const Unary& activation, const Tensor& out) {
  return bias.defined() && activation.op == UnaryOp::identity && out.ndim() == 2;
}

unsigned alignment(const void* address) {
  const auto bits = reinterpret_cast<std::uintptr_t>(address) | 256u;
  return static_cast<unsigned>(bits & (~bits + 1));
}

ConvProduct conv_product(ConvPass pass, const ConvGeometry& s, const Tensor& x, const Tensor& filter,
                         const Tensor& y) {
  const std::int64_t depth = s.taps() * s.in_c;
  const Tensor columns = x.reshape({s.n, depth}), weights = filter.reshape({s.out_c, depth}),
               pixels = y.reshape({s.n, s.out_c});
  if (pass == ConvPass::forward) return {columns, weights.transpose(0, 1), pixels};
  if (pass == ConvPass::grad_x) return {pixels, weights, columns};
  return {pixels.transpose(0, 1), columns, weights};
}

bool conv_by_columns(ConvPass pass, const ConvGeometry& s, const ConvTypes& types) {
  constexpr std::int64_t most_bytes = std::int64_t{256} << 20;
  const bool many_copies = s.stride == Pair(1) && s.in_c >= 8;
  if (types.images != Dtype::f32 || !s.is_dense() || s.is_gemm() || many_copies) return false;
  if (types.precision == MatmulPrecision::tf32) {
    return pass == ConvPass::grad_x && (s.in_c < 8 || s.out_c >= 256);
  }
  return pass != ConvPass::grad_w || s.n * column_bytes(s) <= most_bytes;
}

std::int64_t images_at_once(const ConvGeometry& s) {
  constexpr std::int64_t bytes = std::int64_t{64} << 20;
  return std::clamp<std::int64_t>(bytes / column_bytes(s), 1, std::max<std::int64_t>(1, s.n));
}

std::size_t columns_at_once(ConvPass pass, const ConvGeometry& s) {
  const std::int64_t images = pass == ConvPass::grad_w ? s.n : images_at_once(s);
  return static_cast<std::size_t>(images * column_bytes(s));
}

std::vector<Channels> conv_layouts(Dtype dtype) {
  if (dtype == Dtype::f64) return {Channels::second};
  return {Channels::last, Channels::second};
}

std::vector<ConvForm> conv_forms(ConvPass pass, const ConvTypes& types) {
  std::vector<ConvForm> forms;
  for (const Channels channels : conv_layouts(types.images)) {
    forms.push_back({channels, types.filter});
    if (pass == ConvPass::grad_w && types.filter != types.images) forms.push_back({channels, types.images});
  }
  return forms;
}

ConvDescriptors conv_descriptors(const ConvGeometry& s, Channels channels) {
  return {.x_dims = {s.n, s.in_c, s.in_h, s.in_w},
          .x_strides = image_strides(s.in_c, s.in_h, s.in_w, channels),
          .w_dims = {s.out_c, s.in_c / s.groups, s.kernel_h, s.kernel_w},
          .w_strides = image_strides(s.in_c / s.groups, s.kernel_h, s.kernel_w, channels),
          .y_dims = {s.n, s.out_c, s.out_h, s.out_w},
          .y_strides = image_strides(s.out_c, s.out_h, s.out_w, channels),
          .padding = {s.padding.h, s.padding.w},
          .stride = {s.stride.h, s.stride.w},
          .dilation = {s.dilation.h, s.dilation.w}};
}

}  // namespace damc
