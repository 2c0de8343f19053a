/// Loop bodies of pooling (tensor/pooling.h); see bodies.h. Rows are pixels, elements channels.
#pragma once

#include <cmath>

#include "tensor/kernels/taps.h"
#include "tensor/pooling.h"

namespace damc {

/// The pixels of one window, in one direction, that lie in the image.
struct WindowSpan {
  std::int64_t first, last;  ///< [first, last)
};

DAMC_HD inline WindowSpan window_span(std::int64_t out, std::int64_t stride, std::int64_t padding,
                                      std::int64_t kernel, std::int64_t size) {
  const std::int64_t start = out * stride - padding, end = start + kernel;
  return {start > 0 ? start : 0, end < size ? end : size};
}

/// Where a pixel lies: number r of [n, h, w].
struct PixelPlace {
  std::int64_t n, h, w;
  DAMC_HD PixelPlace(std::int64_t r, std::int64_t height, std::int64_t width) {
    const std::int64_t line = quotient(r, width);
    n = quotient(line, height), h = line - n * height, w = r - line * width;
  }
};

/// A window by the output pixel (h, w) that it belongs to.
struct PoolWindow {
  WindowSpan down, across;
  DAMC_HD PoolWindow(const ConvGeometry& s, std::int64_t h, std::int64_t w)
      : down(window_span(h, s.stride.h, s.padding.h, s.kernel_h, s.in_h)),
        across(window_span(w, s.stride.w, s.padding.w, s.kernel_w, s.in_w)) {}
  /// What the sum of its elements is divided by.
  DAMC_HD std::int64_t count(const Pooling& p) const {
    return p.count_include_pad ? p.windows.taps() : (down.last - down.first) * (across.last - across.first);
  }
};

/// out = the largest or mean element of each window; a NaN is the largest.
template <class T, PoolOp kOp>
struct PoolBody {
  Pooling pooling;
  const T* x;
  T* out;

  struct Row {
    const T* image;
    std::int64_t line, channels;  ///< elements of a line of the image, of a pixel
    PoolWindow window;
    T count;
    T* out;
    DAMC_HD void operator()(std::int64_t c) const {
      T value = kOp == PoolOp::max ? static_cast<T>(-INFINITY) : T(0);
      for (std::int64_t h = window.down.first; h < window.down.last; ++h) {
        for (std::int64_t w = window.across.first; w < window.across.last; ++w) {
          const T next = image[h * line + w * channels + c];
          if constexpr (kOp == PoolOp::max) {
            value = next > value || next != next ? next : value;
          } else {
            value += next;
          }
        }
      }
      out[c] = kOp == PoolOp::max ? value : value / count;
    }
  };
  DAMC_HD Row row(std::int64_t r) const {
    const ConvGeometry& s = pooling.windows;
    const PixelPlace at(r, s.out_h, s.out_w);
    const PoolWindow window(s, at.h, at.w);
    const std::int64_t line = s.in_w * s.in_c;
    return {x + at.n * s.in_h * line, line, s.in_c, window, static_cast<T>(window.count(pooling)),
            out + r * s.in_c};
  }
};

/// out = the element of `from` at the first of the largest elements of each window of x; a NaN is the largest.
template <class T>
struct PoolSelectBody {
  Pooling pooling;
  const T* x;
  const T* from;
  T* out;

  struct Row {
    const T* image;
    const T* from;
    std::int64_t line, channels;  ///< elements of a line of the image, of a pixel
    PoolWindow window;
    T* out;
    DAMC_HD void operator()(std::int64_t c) const {
      std::int64_t best = window.down.first * line + window.across.first * channels + c;
      for (std::int64_t h = window.down.first; h < window.down.last; ++h) {
        for (std::int64_t w = window.across.first; w < window.across.last; ++w) {
          const std::int64_t at = h * line + w * channels + c;
          const T next = image[at], largest = image[best];
          if (next > largest || (next != next && largest == largest)) best = at;
        }
      }
      out[c] = from[best];
    }
  };
  DAMC_HD Row row(std::int64_t r) const {
    const ConvGeometry& s = pooling.windows;
    const PixelPlace at(r, s.out_h, s.out_w);
    const std::int64_t line = s.in_w * s.in_c, image = at.n * s.in_h * line;
    return {x + image, from + image, line, s.in_c, PoolWindow(s, at.h, at.w), out + r * s.in_c};
  }
};

/// out = the sum of g over the windows that hold a pixel: over all of them, g divided as in the mean; or over those
/// where it is the first of the largest elements, whose value is y.
template <class T, PoolOp kOp>
struct PoolGradBody {
  Pooling pooling;
  const T* g;
  const T* x;  ///< x and y: of max
  const T* y;
  T* out;

  struct Row {
    Pooling pooling;
    PixelPlace at;
    TapRange down, across;
    const T* g;
    const T* x;
    const T* y;
    T* out;

    DAMC_HD void operator()(std::int64_t c) const {
      const ConvGeometry& s = pooling.windows;
      T sum = T(0);
      for (std::int64_t v = 0; v < down.count; ++v) {
        for (std::int64_t k = 0; k < across.count; ++k) {
          const std::int64_t h = down.output - v, w = across.output - k;
          const std::int64_t from = (h * s.out_w + w) * s.in_c + c;
          const PoolWindow window(s, h, w);
          if constexpr (kOp == PoolOp::mean) {
            sum += g[from] / static_cast<T>(window.count(pooling));
          } else if (is_first(window, y[from], c)) {
            sum += g[from];
          }
        }
      }
      out[c] = sum;
    }
    DAMC_HD static bool same(T a, T b) { return a == b || (a != a && b != b); }
    /// Whether this pixel is the first of the window with that value.
    DAMC_HD bool is_first(const PoolWindow& window, T value, std::int64_t c) const {
      const ConvGeometry& s = pooling.windows;
      for (std::int64_t h = window.down.first; h <= at.h; ++h) {
        const std::int64_t end = h < at.h ? window.across.last : at.w;
        for (std::int64_t w = window.across.first; w < end; ++w) {
          if (same(x[(h * s.in_w + w) * s.in_c + c], value)) return false;
        }
      }
      return same(x[(at.h * s.in_w + at.w) * s.in_c + c], value);
    }
  };
  DAMC_HD Row row(std::int64_t r) const {
    const ConvGeometry& s = pooling.windows;
    const PixelPlace at(r, s.in_h, s.in_w);
    const std::int64_t outputs = at.n * s.out_h * s.out_w * s.in_c;
    return {pooling,
            at,
            taps_of(at.h, s.stride.h, s.padding.h, s.kernel_h, s.out_h),
            taps_of(at.w, s.stride.w, s.padding.w, s.kernel_w, s.out_w),
            g + outputs,
            kOp == PoolOp::max ? x + at.n * s.in_h * s.in_w * s.in_c : nullptr,
            kOp == PoolOp::max ? y + outputs : nullptr,
            out + r * s.in_c};
  }
};

}  // namespace damc
