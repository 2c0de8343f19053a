/// Row-major matrix products through OpenBLAS, f32 and f64.
#pragma once

#include <cblas.h>

#include <cstdint>

namespace damc {

/// A matrix as BLAS sees it: leading dimension, and whether it is stored transposed.
template <class T>
struct Matrix {
  const T* data;
  std::int64_t ld;
  bool transposed = false;
};

/// c = a b + beta c; a is m x k, b is k x n, c is m x n with rows of ldc.
template <class T>
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, Matrix<T> a, Matrix<T> b, T beta, T* c,
          std::int64_t ldc) {
  const auto order = [](bool transposed) { return transposed ? CblasTrans : CblasNoTrans; };
  const auto i = [](std::int64_t value) { return static_cast<blasint>(value); };
  if constexpr (sizeof(T) == 4) {
    cblas_sgemm(CblasRowMajor, order(a.transposed), order(b.transposed), i(m), i(n), i(k), 1.0f, a.data,
                i(a.ld), b.data, i(b.ld), beta, c, i(ldc));
  } else {
    cblas_dgemm(CblasRowMajor, order(a.transposed), order(b.transposed), i(m), i(n), i(k), 1.0, a.data,
                i(a.ld), b.data, i(b.ld), beta, c, i(ldc));
  }
}

}  // namespace damc
