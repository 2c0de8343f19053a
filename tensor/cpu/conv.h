/// The two data movements of a channels-last convolution by matrix product; see cpu_backend.cpp for the
/// products.
///
/// Columns are [pixels of the output, kH, kW, Cin]: one row holds all that one output pixel sees.
#pragma once

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

#include "tensor/conv_geometry.h"
#include "tensor/dtype.h"
#include "tensor/kernels/taps.h"

namespace damc {

/// A convolution of stride 1 as the input gradient of another one, with its filter mirrored. Where many channels become a
/// few, the columns of that one are of the few, and short.
inline ConvGeometry mirrored(const ConvGeometry& s) {
  ConvGeometry t = s;
  std::swap(t.in_h, t.out_h);
  std::swap(t.in_w, t.out_w);
  std::swap(t.in_c, t.out_c);
  t.padding = {s.kernel_h - 1 - s.padding.h, s.kernel_w - 1 - s.padding.w};
  return t;
}

/// The filter [Cout, kH, kW, Cin] of s as that of mirrored(s), [Cin, kH, kW, Cout], its taps in reverse order.
template <class T>
void mirror_filter(const ConvGeometry& s, const T* filter, T* out) {
  for (std::int64_t o = 0; o < s.out_c; ++o) {
    for (std::int64_t tap = 0; tap < s.taps(); ++tap) {
      for (std::int64_t i = 0; i < s.in_c; ++i) {
        out[(i * s.taps() + s.taps() - 1 - tap) * s.out_c + o] = filter[(o * s.taps() + tap) * s.in_c + i];
      }
    }
  }
}

/// Columns of the output pixels of images [first, first + count) of x [N, H, W, C]; out of the image is 0.
template <class T>
void im2col(const ConvGeometry& s, const T* x, std::int64_t first, std::int64_t count, T* columns) {
  const std::int64_t row_length = s.kernel_w * s.in_c;
#pragma omp parallel for collapse(2) schedule(static)
  for (std::int64_t n = first; n < first + count; ++n) {
    for (std::int64_t oh = 0; oh < s.out_h; ++oh) {
      T* out = columns + ((n - first) * s.out_h + oh) * s.out_w * s.taps() * s.in_c;
      for (std::int64_t ow = 0; ow < s.out_w; ++ow) {
        const std::int64_t left = ow * s.stride.w - s.padding.w;
        // Of the kW pixels from `left` on, [before, before + inside) lie in the image.
        const std::int64_t before = std::clamp<std::int64_t>(-left, 0, s.kernel_w);
        const std::int64_t inside = std::clamp<std::int64_t>(s.in_w - left, 0, s.kernel_w) - before;
        for (std::int64_t kh = 0; kh < s.kernel_h; ++kh, out += row_length) {
          const std::int64_t ih = oh * s.stride.h - s.padding.h + kh;
          if (ih < 0 || ih >= s.in_h || inside <= 0) {
            std::fill_n(out, row_length, T{});
            continue;
          }
          const T* in = x + ((n * s.in_h + ih) * s.in_w + left + before) * s.in_c;
          std::fill_n(out, before * s.in_c, T{});
          std::copy_n(in, inside * s.in_c, out + before * s.in_c);
          std::fill_n(out + (before + inside) * s.in_c, (s.kernel_w - before - inside) * s.in_c, T{});
        }
      }
    }
  }
}

/// The rows of im2col's columns as transposed_product asks for them, without those columns: pieces of the image [n, H, W,
/// C], or `zeros` outside of it. A piece must lie under one tap.
template <class T>
struct ImageRows {
  const ConvGeometry& s;
  const T *image, *zeros;

  /// begins[i]: column number `column` of output pixel first + i
  void operator()(std::int64_t first, std::int64_t count, std::int64_t column, const T** begins) const {
    const std::int64_t tap = column / s.in_c;
    std::int64_t ow = first % s.out_w, oh = first / s.out_w % s.out_h, n = first / s.out_w / s.out_h;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t h = oh * s.stride.h - s.padding.h + tap / s.kernel_w;
      const std::int64_t w = ow * s.stride.w - s.padding.w + tap % s.kernel_w;
      const bool inside = h >= 0 && h < s.in_h && w >= 0 && w < s.in_w;
      begins[i] = inside ? image + ((n * s.in_h + h) * s.in_w + w) * s.in_c + column % s.in_c : zeros;
      if (++ow < s.out_w) continue;
      ow = 0;
      if (++oh < s.out_h) continue;
      oh = 0;
      ++n;
    }
  }
};

/// The transpose of im2col in gather form: each pixel of images [first, first + count) of out [N, H, W, C]
/// sums the columns' entries that were copied from it, then out = act(sum + bias); in bf16 the sum is rounded before.
/// `activation` is a functor, bias may be null.
template <class T, class F>
void col2im(const ConvGeometry& s, const Computed<T>* columns, std::int64_t first, std::int64_t count,
            const Computed<T>* bias, F activation, T* out) {
  using C = Computed<T>;
  constexpr bool rounds = !std::is_same_v<T, C>;
  const std::int64_t channels = s.in_c, pixel_length = s.taps() * channels;
#pragma omp parallel for collapse(2) schedule(static)
  for (std::int64_t n = first; n < first + count; ++n) {
    for (std::int64_t ih = 0; ih < s.in_h; ++ih) {
      std::vector<C> sums(static_cast<std::size_t>(channels));
      C* sum = sums.data();
      const TapRange vertical = taps_of(ih, s.stride.h, s.padding.h, s.kernel_h, s.out_h);
      for (std::int64_t iw = 0; iw < s.in_w; ++iw) {
        const TapRange across = taps_of(iw, s.stride.w, s.padding.w, s.kernel_w, s.out_w);
        if (bias && !rounds) {
          std::copy_n(bias, channels, sum);
        } else {
          std::fill_n(sum, channels, C(0));
        }
        for (std::int64_t v = 0; v < vertical.count; ++v) {
          const std::int64_t kh = vertical.kernel + v * s.stride.h, oh = vertical.output - v;
          for (std::int64_t h = 0; h < across.count; ++h) {
            const std::int64_t kw = across.kernel + h * s.stride.w, ow = across.output - h;
            const C* in = columns + (((n - first) * s.out_h + oh) * s.out_w + ow) * pixel_length +
                          (kh * s.kernel_w + kw) * channels;
#pragma omp simd
            for (std::int64_t c = 0; c < channels; ++c) sum[c] += in[c];
          }
        }
        if (rounds) {
          for (std::int64_t c = 0; c < channels; ++c) sum[c] = C(T(sum[c])) + (bias ? bias[c] : C(0));
        }
        T* pixel = out + ((n * s.in_h + ih) * s.in_w + iw) * channels;
        for (std::int64_t c = 0; c < channels; ++c) pixel[c] = T(activation.f(sum[c]));
      }
    }
  }
}

}  // namespace damc
