/// Convolutions of f32 images as matrix products over columns, where cuDNN's engines lag far behind the rate of a
/// product (launch.h: conv_by_columns).
///
/// Columns are [pixels of y, kH, kW, Cin]: one row holds all that one pixel of the output y sees of the input x. Then
///   forward  y = columns(x) filter^T      grad_x  x = sum over the taps of (y filter)      grad_w  filter = y^T columns(x)
#pragma once

#include <algorithm>

#include "tensor/cuda/launch.h"
#include "tensor/kernels/functors.h"
#include "tensor/kernels/taps.h"

namespace damc {

/// columns = what each output pixel sees; beyond the image 0. Rows are taps of output pixels, elements channels.
struct ColumnsBody {
  ConvGeometry s;
  const float* x;
  float* columns;

  struct Row {
    const float* in;
    float* out;
    bool inside;
    DAMC_HD void operator()(std::int64_t c) const { out[c] = inside ? in[c] : 0.0f; }
    static constexpr int kPack = kPackElements<float>;
    template <class Visit>
    DAMC_HD void operands(Visit& visit) {
      visit.read(in);
      visit.write(out);
    }
  };
  DAMC_HD Row row(std::int64_t r) const {
    const std::int64_t pixel = quotient(r, s.taps()), tap = r - pixel * s.taps();
    const std::int64_t kh = quotient(tap, s.kernel_w), kw = tap - kh * s.kernel_w;
    const std::int64_t line = quotient(pixel, s.out_w), ow = pixel - line * s.out_w;
    const std::int64_t n = quotient(line, s.out_h), oh = line - n * s.out_h;
    const std::int64_t ih = oh * s.stride.h - s.padding.h + kh, iw = ow * s.stride.w - s.padding.w + kw;
    const bool inside = ih >= 0 && ih < s.in_h && iw >= 0 && iw < s.in_w;
    // Packs are loaded in any case, so the address must be one of the image's.
    return {inside ? x + ((n * s.in_h + ih) * s.in_w + iw) * s.in_c : x, columns + r * s.in_c, inside};
  }
};

/// x = act(bias + the sum of the columns' entries that belong to each of its pixels). Rows are pixels, elements groups
/// of N channels, which one thread takes: with two accesses under way at once a GPU waits less for each.
template <class F, int N>
struct FromColumnsBody {
  ConvGeometry s;
  const float* columns;
  const float* bias;  ///< or null
  float* x;
  F activation;

  struct Row {
    const float* taps;
    std::int64_t down, across;  ///< from one tap to the next
    std::int64_t vertical_count, across_count;
    const float* bias;
    float* out;
    F activation;
    DAMC_HD void operator()(std::int64_t group) const {
      const std::int64_t c = group * N;
      pack::Elements<float, N> sum{};
      if (bias) {
        for (int j = 0; j < N; ++j) sum.element[j] = bias[c + j];
      }
      for (std::int64_t v = 0; v < vertical_count; ++v) {
        for (std::int64_t h = 0; h < across_count; ++h) {
          pack::Elements<float, N> part;
          pack::move<N>(part.element, taps + v * down + h * across + c);
          for (int j = 0; j < N; ++j) sum.element[j] += part.element[j];
        }
      }
      for (int j = 0; j < N; ++j) sum.element[j] = activation.f(sum.element[j]);
      pack::move<N>(out + c, sum.element);
    }
  };
  DAMC_HD Row row(std::int64_t r) const {
    const std::int64_t line = quotient(r, s.in_w), iw = r - line * s.in_w;
    const std::int64_t n = quotient(line, s.in_h), ih = line - n * s.in_h;
    const TapRange v = taps_of(ih, s.stride.h, s.padding.h, s.kernel_h, s.out_h),
                   h = taps_of(iw, s.stride.w, s.padding.w, s.kernel_w, s.out_w);
    const std::int64_t length = s.taps() * s.in_c;
    return {columns + ((n * s.out_h + v.output) * s.out_w + h.output) * length +
                (v.kernel * s.kernel_w + h.kernel) * s.in_c,
            s.stride.h * s.kernel_w * s.in_c - s.out_w * length,
            s.stride.w * s.in_c - length,
            v.count,
            h.count,
            bias,
            x + r * s.in_c,
            activation};
  }
};

/// One pass over input x, filter and output y, of which it writes one; all f32 and contiguous. `multiply(a, b, out)` is
/// the product; `for_rows(rows, cols, body)` an executor's loop. `bias` (or null) and `activation` (a functor) are
/// those of grad_x; after a forward pass they are the caller's. `at_once` images are taken at a
/// time; of a weight gradient all.
template <class ForRows, class Multiply, class F>
void convolve_by_columns(ConvPass pass, const ConvGeometry& s, std::int64_t at_once, const Tensor& x,
                         const Tensor& filter, const Tensor& y, const float* bias, F activation,
                         const ForRows& for_rows, const Multiply& multiply) {
  const std::int64_t depth = s.taps() * s.in_c, pixels = s.out_h * s.out_w;
  const std::int64_t most = pass == ConvPass::grad_w ? s.n : at_once;
  const Tensor weights = filter.reshape({s.out_c, depth});
  for (std::int64_t first = 0; first < s.n; first += most) {
    const std::int64_t count = std::min(most, s.n - first);
    const Tensor columns = Tensor::empty({count * pixels, depth}, Dtype::f32, x.device());
    const Tensor y_rows = y.narrow(0, first, count).reshape({count * pixels, s.out_c});
    float* images = x.data<float>() + first * s.in_h * s.in_w * s.in_c;
    if (pass == ConvPass::grad_x) {
      multiply(y_rows, weights, columns);
      const std::int64_t rows = count * s.in_h * s.in_w;
      const auto gather = [&]<int N>() {
        for_rows(rows, s.in_c / N, FromColumnsBody<F, N>{s, columns.data<float>(), bias, images, activation});
      };
      if (s.in_c % 8 == 0 && alignment(images) >= kAccessBytes) {
        gather.template operator()<8>();
      } else {
        gather.template operator()<1>();
      }
      continue;
    }
    for_rows(count * pixels * s.taps(), s.in_c, ColumnsBody{s, images, columns.data<float>()});
    if (pass == ConvPass::forward) {
      multiply(columns, weights.transpose(0, 1), y_rows);
    } else {
      multiply(y_rows.transpose(0, 1), columns, weights);
    }
  }
}

}  // namespace damc
