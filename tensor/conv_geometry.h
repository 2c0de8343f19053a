/// The sizes of a 2-D convolution, shared by every backend. Images are N,H,W,C; the filter is Cout,kH,kW,Cin/groups.
/// A transposed convolution is the input gradient of the convolution with the same filter, so `in` is then
/// the larger image and `out` the smaller one.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/host_device.h"
#include "tensor/shape.h"

namespace damc {

/// A size in each direction of an image's plane; one number stands for both.
struct Pair {
  std::int64_t h, w;
  constexpr Pair(std::int64_t both) : h(both), w(both) {}  // NOLINT: implicit
  constexpr Pair(std::int64_t height, std::int64_t width) : h(height), w(width) {}
  bool operator==(const Pair&) const = default;
  /// "2", or "1x2" where height and width differ.
  std::string str() const { return h == w ? std::to_string(h) : std::to_string(h) + "x" + std::to_string(w); }
};

/// How a filter lies on an image and moves over it, by PyTorch's names: its taps are `dilation` pixels apart, and each
/// of `groups` equal parts of the output's channels sees one part of the input's.
struct ConvOptions {
  Pair stride = 1, padding = 0, dilation = 1;
  std::int64_t groups = 1;
  /// Rows and columns more at the end of a transposed convolution's result, fewer than the stride: which of the sizes
  /// that a convolution takes to one size is meant. For conv2d 0.
  Pair output_padding = 0;

  /// Taps beside each other, and every channel of the output sees all of the input's.
  bool is_dense() const { return dilation == Pair(1) && groups == 1; }
  /// "stride 1, padding 0", and dilation, groups and output_padding where there are any.
  std::string str() const;
};

struct ConvGeometry : ConvOptions {
  std::int64_t n, in_h, in_w, in_c;  ///< the convolution's input
  std::int64_t out_h, out_w, out_c;  ///< the convolution's output
  std::int64_t kernel_h, kernel_w;   ///< filter size

  DAMC_HD std::int64_t taps() const { return kernel_h * kernel_w; }
  /// Multiply-adds of one pass (forward, input gradient and weight gradient all cost the same).
  std::int64_t macs() const { return n * out_h * out_w * out_c * taps() * in_c / groups; }
  /// One output pixel that sees the whole input: the convolution is a plain matrix product.
  bool is_gemm() const {
    return is_dense() && out_h == 1 && out_w == 1 && padding == Pair(0) && kernel_h == in_h &&
           kernel_w == in_w;
  }
  Shape in_shape() const { return {n, in_h, in_w, in_c}; }
  Shape out_shape() const { return {n, out_h, out_w, out_c}; }
  Shape filter_shape() const { return {out_c, kernel_h, kernel_w, in_c / groups}; }
};

/// Throws Error with the numbers, for the operation of that name, unless as many channels divide into groups.
void check_groups(const char* op, std::int64_t in, std::int64_t out, std::int64_t groups);

/// Geometry of conv2d(x, filter). Throws Error with the shapes and options that do not fit.
ConvGeometry conv_geometry(const Shape& x, const Shape& filter, const ConvOptions& options);

/// Geometry of the convolution whose input gradient is conv_transpose2d(x, filter), filter =
/// Cin,kH,kW,Cout/groups; the result's size is (size - 1) stride - 2 padding + dilation (kernel - 1) + 1 +
/// output_padding, which is 0 in the geometry's own options. Throws Error likewise.
ConvGeometry conv_transpose_geometry(const Shape& x, const Shape& filter, const ConvOptions& options);

}  // namespace damc
