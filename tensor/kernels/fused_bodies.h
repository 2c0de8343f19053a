/// Loop bodies of the fused kernels (tensor/fused_kernels.h); see bodies.h.
#pragma once

#include <numbers>

#include "tensor/dtype.h"
#include "tensor/host_device.h"
#include "tensor/kernels/functors.h"
#include "tensor/kernels/packs.h"

namespace damc {

/// out = [sin 2 pi t, cos 2 pi t, z], rows of n, n and m; element c < n of a row gives a sine and a cosine, the others
/// copy z.
template <class T>
struct FourierBody {
  const T* t;
  const T* z;
  T* out;
  std::int64_t n, m;

  struct Row {
    const T* t;
    const T* z;
    T* out;
    std::int64_t n;
    DAMC_HD void operator()(std::int64_t c) const {
      if (c < n) {
        const SinCos<T> value = sincos_turns(t[c]);
        out[c] = value.sin;
        out[n + c] = value.cos;
      } else {
        out[n + c] = z[c - n];
      }
    }
  };
  DAMC_HD Row row(std::int64_t r) const { return {t + n * r, z + m * r, out + (2 * n + m) * r, n}; }
};

/// out = 2 pi (g_1 y_2 - g_2 y_1), rows of n; those of y and g have `wide` elements.
template <class T>
struct FourierVjpBody {
  const T* g;
  const T* y;
  T* out;
  std::int64_t n, wide;

  struct Row {
    const T* g1;
    const T* g2;
    const T* y1;
    const T* y2;
    T* out;
    DAMC_HD void operator()(std::int64_t c) const {
      out[c] = T(2.0 * std::numbers::pi) * (g1[c] * y2[c] - g2[c] * y1[c]);
    }
    static constexpr int kPack = kPackElements<T>;
    template <class Visit>
    DAMC_HD void operands(Visit& visit) {
      visit.read(g1, g2, y1, y2);
      visit.write(out);
    }
  };
  DAMC_HD Row row(std::int64_t r) const {
    const T* g1 = g + wide * r;
    const T* y1 = y + wide * r;
    return {g1, g1 + n, y1, y1 + n, out + n * r};
  }
};

/// out = act((y_1 + b) sigmoid(c_1) + y_2 + c_2), halves of rows of 2n; a row of c is `c_row` beyond the last, one of
/// out `out_row`.
template <class T, class F>
struct GatedSumBody {
  const T* y;
  const T* b;
  const T* c;
  T* out;
  std::int64_t n, c_row, out_row;
  F activation;

  struct Row {
    const T* y1;
    const T* y2;
    const T* b;
    const T* c1;
    const T* c2;
    T* out;
    F activation;
    DAMC_HD void operator()(std::int64_t j) const {
      out[j] = activation.f((y1[j] + b[j]) * functor::sigmoid<T>{}.f(c1[j]) + (y2[j] + c2[j]));
    }
    static constexpr int kPack = kPackElements<T>;
    template <class Visit>
    DAMC_HD void operands(Visit& visit) {
      visit.read(y1, y2, b, c1, c2);
      visit.write(out);
    }
  };
  DAMC_HD Row row(std::int64_t r) const { return row(r, 0, y + 2 * n * r, y + 2 * n * r + n); }
  /// Row r from column `first` on, the values of y from there on given.
  DAMC_HD Row row(std::int64_t r, std::int64_t first, const T* y1, const T* y2) const {
    const T* c1 = c + c_row * r + first;
    return {y1, y2, b + first, c1, c1 + n, out + out_row * r + first, activation};
  }
};

}  // namespace damc
