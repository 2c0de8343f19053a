/// Loop bodies of the shared kernels, for any device: what happens to one element, or to one term of a sum.
///
/// A row body gives row(r), whose operator()(c) treats element c of row r; a reduction body gives load(o, r, i), the
/// term r of the sum at output (o, i). Over several tensors at once (tensor_list.h) rows are tensors, and so are the
/// outputs o of a reduction body, whose sums are then added up. The executors (tensor/cpu/executor.h) own the loops.
/// kPack and operands(visit) let a GPU take several elements of a row at once (packs.h).
#pragma once

#include <cmath>

#include "tensor/backend.h"
#include "tensor/host_device.h"
#include "tensor/kernels/packs.h"
#include "tensor/kernels/tensor_list.h"

namespace damc {

/// How N operands of one shape are walked: rows of `cols` elements, dimensions merged where the strides allow
/// it.
template <int N>
struct StridedRows {
  int outer_ndim = 0;
  std::int64_t outer_shape[kMaxDims] = {};
  std::int64_t outer_stride[N][kMaxDims] = {};
  std::int64_t rows = 1, cols = 1;
  std::int64_t inner_stride[N] = {};

  DAMC_HD void offsets(std::int64_t row, std::int64_t (&offset)[N]) const {
    for (int k = 0; k < N; ++k) offset[k] = 0;
    for (int d = outer_ndim - 1; d >= 0; --d) {
      // The last one needs no division, which takes a GPU longer than to copy an element.
      const std::int64_t next = d > 0 ? row / outer_shape[d] : 0, i = row - next * outer_shape[d];
      for (int k = 0; k < N; ++k) offset[k] += i * outer_stride[k][d];
      row = next;
    }
  }
};

/// The walk over tensors of equal shape.
template <int N>
StridedRows<N> strided_rows(const Tensor* const (&operands)[N]) {
  const Shape& shape = operands[0]->shape();
  // Merge dimension d into the one before it where every operand continues without a jump.
  Shape merged;
  Shape strides[N];
  for (int d = 0; d < shape.ndim(); ++d) {
    if (shape[d] == 1) continue;
    bool joins = merged.ndim() > 0;
    for (int k = 0; k < N && joins; ++k) {
      joins = strides[k].back() == operands[k]->strides()[d] * shape[d];
    }
    if (joins) {
      merged[merged.ndim() - 1] *= shape[d];
      for (int k = 0; k < N; ++k) strides[k][merged.ndim() - 1] = operands[k]->strides()[d];
    } else {
      merged.push_back(shape[d]);
      for (int k = 0; k < N; ++k) strides[k].push_back(operands[k]->strides()[d]);
    }
  }
  StridedRows<N> walk;
  if (merged.ndim() == 0) {
    walk.cols = shape.numel();
    for (int k = 0; k < N; ++k) walk.inner_stride[k] = 1;
    return walk;
  }
  walk.outer_ndim = merged.ndim() - 1;
  walk.cols = merged.back();
  for (int k = 0; k < N; ++k) walk.inner_stride[k] = strides[k].back();
  for (int d = 0; d < walk.outer_ndim; ++d) {
    walk.outer_shape[d] = merged[d];
    walk.rows *= merged[d];
    for (int k = 0; k < N; ++k) walk.outer_stride[k][d] = strides[k][d];
  }
  return walk;
}

/// Element c of a row whose stride is S, or known only at run time (kAnyStride).
inline constexpr int kAnyStride = -1;
template <int S, class T>
DAMC_HD T& at(T* row, std::int64_t stride, std::int64_t c) {
  return row[S == kAnyStride ? c * stride : c * S];
}

/// out = f(x)
template <class To, class From, class F, int SX, int SO>
struct UnaryBody {
  StridedRows<2> walk;
  const From* x;
  To* out;
  F f;

  struct Row {
    const From* x;
    To* out;
    std::int64_t sx, so;
    F f;
    DAMC_HD void operator()(std::int64_t c) const {
      at<SO>(out, so, c) = static_cast<To>(f.f(at<SX>(x, sx, c)));
    }
    static constexpr int kPack = SX == 1 && SO == 1 ? kPackElements<From, To> : 1;
    template <class Visit>
    DAMC_HD void operands(Visit& visit) {
      visit.read(x);
      visit.write(out);
    }
  };
  DAMC_HD Row row(std::int64_t r) const {
    std::int64_t offset[2];
    walk.offsets(r, offset);
    return {x + offset[0], out + offset[1], walk.inner_stride[0], walk.inner_stride[1], f};
  }
};

/// out = f(a, b)
template <class T, class F, int SA, int SB, int SO>
struct BinaryBody {
  StridedRows<3> walk;
  const T* a;
  const T* b;
  T* out;
  F f;

  struct Row {
    const T* a;
    const T* b;
    T* out;
    std::int64_t sa, sb, so;
    F f;
    DAMC_HD void operator()(std::int64_t c) const {
      at<SO>(out, so, c) = f.f(at<SA>(a, sa, c), at<SB>(b, sb, c));
    }
    static constexpr int kPack = SA != kAnyStride && SB != kAnyStride && SO == 1 ? kPackElements<T> : 1;
    template <class Visit>
    DAMC_HD void operands(Visit& visit) {
      if constexpr (SA == 1) visit.read(a);
      if constexpr (SB == 1) visit.read(b);
      visit.write(out);
    }
  };
  DAMC_HD Row row(std::int64_t r) const {
    std::int64_t offset[3];
    walk.offsets(r, offset);
    return {a + offset[0],
            b + offset[1],
            out + offset[2],
            walk.inner_stride[0],
            walk.inner_stride[1],
            walk.inner_stride[2],
            f};
  }
};

/// out = g f'(x) where y = f(x); g may repeat.
template <class T, class F, int SG>
struct UnaryVjpBody {
  StridedRows<2> walk;
  const T* g;
  const T* x;
  const T* y;
  T* out;
  F f;

  struct Row {
    const T* g;
    const T* x;
    const T* y;
    T* out;
    std::int64_t sg;
    F f;
    DAMC_HD void operator()(std::int64_t c) const {
      out[c] = static_cast<T>(functor::vjp<F, Computed<T>>(f, at<SG>(g, sg, c), x[c], y[c]));
    }
    static constexpr int kPack = SG == 1 ? kPackElements<T> : 1;
    template <class Visit>
    DAMC_HD void operands(Visit& visit) {
      visit.read(g, x, y);
      visit.write(out);
    }
  };
  DAMC_HD Row row(std::int64_t r) const {
    std::int64_t offset[2];
    walk.offsets(r, offset);
    return {g + offset[0], x + offset[1], y + offset[1], out + offset[1], walk.inner_stride[0], f};
  }
};

/// Terms of sums over x [outer, reduced, inner]; `kRun` promises inner = 1, so that neighbours in r are
/// loaded together.
template <class T, bool kRun = false>
struct SumBody {
  const T* x;
  std::int64_t reduced, inner;
  DAMC_HD Computed<T> load(std::int64_t o, std::int64_t r, std::int64_t i) const {
    return kRun ? x[o * reduced + r] : x[(o * reduced + r) * inner + i];
  }
};

/// Squares of the elements of several tensors.
template <class T>
struct SquareBody {
  const T* x[kMostTensors];
  DAMC_HD T load(std::int64_t tensor, std::int64_t c, std::int64_t) const {
    const T value = x[tensor][c];
    return value * value;
  }
};

// Instance normalisation: images are stored as S, statistics and parameters are T = Computed<S>.

/// (x - mean)^2 over the pixels of x [N, P, C]
template <class S, class T = Computed<S>>
struct CentredSquareBody {
  const S* x;
  const T* mean;
  std::int64_t pixels, channels;
  DAMC_HD T load(std::int64_t n, std::int64_t p, std::int64_t c) const {
    const T d = x[(n * pixels + p) * channels + c] - mean[n * channels + c];
    return d * d;
  }
};

/// g (x - mean) rstd over the pixels of x [N, P, C]
template <class S, class T = Computed<S>>
struct NormProductBody {
  const S* g;
  const S* x;
  const T* mean;
  const T* rstd;
  std::int64_t pixels, channels;
  DAMC_HD T load(std::int64_t n, std::int64_t p, std::int64_t c) const {
    const std::int64_t k = n * channels + c, j = (n * pixels + p) * channels + c;
    return g[j] * (x[j] - mean[k]) * rstd[k];
  }
};

/// out = act((x - mean) rstd w + b); a row is one pixel.
template <class S, class F, class T = Computed<S>>
struct InstanceNormBody {
  const S* x;
  const T* mean;
  const T* rstd;
  const T* w;
  const T* b;
  S* out;
  std::int64_t pixels, channels;
  F activation;

  struct Row {
    const S* x;
    const T* mean;
    const T* rstd;
    const T* w;
    const T* b;
    S* out;
    F activation;
    DAMC_HD void operator()(std::int64_t c) const {
      out[c] = static_cast<S>(activation.f((x[c] - mean[c]) * (rstd[c] * w[c]) + b[c]));
    }
    static constexpr int kPack = kPackElements<S, T>;
    template <class Visit>
    DAMC_HD void operands(Visit& visit) {
      visit.read(x, mean, rstd, w, b);
      visit.write(out);
    }
  };
  DAMC_HD Row row(std::int64_t r) const {
    const std::int64_t n = r / pixels * channels, j = r * channels;
    return {x + j, mean + n, rstd + n, w, b, out + j, activation};
  }
};

/// out = w rstd (g - sum_g / P - (x - mean) rstd sum_gx / P); a row is one pixel.
template <class S, class T = Computed<S>>
struct InstanceNormGradBody {
  const S* g;
  const S* x;
  const T* mean;
  const T* rstd;
  const T* w;
  const T* sum_g;
  const T* sum_gx;
  S* out;
  std::int64_t pixels, channels;

  struct Row {
    const S* g;
    const S* x;
    const T* mean;
    const T* rstd;
    const T* w;
    const T* sum_g;
    const T* sum_gx;
    S* out;
    T per_pixel;
    DAMC_HD void operator()(std::int64_t c) const {
      const T x_hat = (x[c] - mean[c]) * rstd[c];
      out[c] = static_cast<S>(w[c] * rstd[c] * (g[c] - per_pixel * (sum_g[c] + x_hat * sum_gx[c])));
    }
    static constexpr int kPack = kPackElements<S, T>;
    template <class Visit>
    DAMC_HD void operands(Visit& visit) {
      visit.read(g, x, mean, rstd, w, sum_g, sum_gx);
      visit.write(out);
    }
  };
  DAMC_HD Row row(std::int64_t r) const {
    const std::int64_t n = r / pixels * channels, j = r * channels;
    return {
        g + j, x + j, mean + n, rstd + n, w, sum_g + n, sum_gx + n, out + j, T(1) / static_cast<T>(pixels)};
  }
};

/// y = act(y + bias) in place, bias over the last dimension; what a gemm without epilogues needs after it.
template <class T, class F>
struct EpilogueBody {
  T* y;
  const Computed<T>* bias;
  std::int64_t channels;
  F activation;

  struct Row {
    T* y;
    const Computed<T>* bias;
    F activation;
    DAMC_HD void operator()(std::int64_t c) const { y[c] = static_cast<T>(activation.f(y[c] + bias[c])); }
    static constexpr int kPack = kPackElements<T>;
    template <class Visit>
    DAMC_HD void operands(Visit& visit) {
      visit.update(y);
      visit.read(bias);
    }
  };
  DAMC_HD Row row(std::int64_t r) const { return {y + r * channels, bias, activation}; }
};

/// rstd = 1 / sqrt(variance + eps), in place
template <class T>
struct RstdBody {
  T* variance;
  T scale, eps;
  DAMC_HD void operator()(std::int64_t i) const { variance[i] = T(1) / std::sqrt(variance[i] * scale + eps); }
};

template <class T>
struct ScaleBody {
  T* x;
  T factor;
  DAMC_HD void operator()(std::int64_t i) const { x[i] *= factor; }
};

template <class T, int SO>
struct FillBody {
  StridedRows<1> walk;
  T value;
  T* out;

  struct Row {
    T value;
    T* out;
    std::int64_t so;
    DAMC_HD void operator()(std::int64_t c) const { at<SO>(out, so, c) = value; }
    static constexpr int kPack = SO == 1 ? kPackElements<T> : 1;
    template <class Visit>
    DAMC_HD void operands(Visit& visit) {
      visit.write(out);
    }
  };
  DAMC_HD Row row(std::int64_t r) const {
    std::int64_t offset[1];
    walk.offsets(r, offset);
    return {value, out + offset[0], walk.inner_stride[0]};
  }
};

}  // namespace damc
