/// Row-major matrix products through OpenBLAS, f32 and f64.
///
/// OpenBLAS runs on the calling thread alone: it would cut the sums of a product in another way for every number of
/// threads. Here c is cut, by its sizes only, so that a product has the same bits for any number.
#pragma once

#include <cblas.h>
#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace damc {

/// A matrix as BLAS sees it: leading dimension, and whether it is stored transposed.
template <class T>
struct Matrix {
  const T* data;
  std::int64_t ld;
  bool transposed = false;

  /// Without its first rows and columns.
  Matrix from(std::int64_t row, std::int64_t column) const {
    return {data + (transposed ? column * ld + row : row * ld + column), ld, transposed};
  }
};

/// While it lives, a region of this thread, and so OpenBLAS, has one thread.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

/// c = a b + beta c on the calling thread; a is m x k, b is k x n, c is m x n with rows of ldc.
template <class T>
void gemm_alone(std::int64_t m, std::int64_t n, std::int64_t k, Matrix<T> a, Matrix<T> b, T beta, T* c,
                std::int64_t ldc) {
  const auto order = [](bool transposed) { return transposed ? CblasTrans : CblasNoTrans; };
  const auto i = [](std::int64_t value) { return static_cast<blasint>(value); };
  const OneThread alone;
  if constexpr (sizeof(T) == 4) {
    cblas_sgemm(CblasRowMajor, order(a.transposed), order(b.transposed), i(m), i(n), i(k), 1.0f, a.data,
                i(a.ld), b.data, i(b.ld), beta, c, i(ldc));
  } else {
    cblas_dgemm(CblasRowMajor, order(a.transposed), order(b.transposed), i(m), i(n), i(k), 1.0, a.data,
                i(a.ld), b.data, i(b.ld), beta, c, i(ldc));
  }
}

/// The same on all threads: each takes some of the strips of c. Every strip packs the factor that is not cut anew, so
/// there are few, and wide ones.
template <class T>
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, Matrix<T> a, Matrix<T> b, T beta, T* c,
          std::int64_t ldc) {
  constexpr std::int64_t least = 1 << 18;  // multiply-adds worth a second thread
  constexpr std::int64_t narrowest = 128, most = 16;
  const std::int64_t cut = std::max(m, n);
  const std::int64_t strips = m * n * k < least ? 1 : std::clamp<std::int64_t>(cut / narrowest, 1, most);
  if (strips == 1) {
    gemm_alone(m, n, k, a, b, beta, c, ldc);
    return;
  }
#pragma omp parallel for schedule(dynamic, 1)
  for (std::int64_t s = 0; s < strips; ++s) {
    const std::int64_t first = cut * s / strips, size = cut * (s + 1) / strips - first;
    if (m >= n) {
      gemm_alone(size, n, k, a.from(first, 0), b, beta, c + first * ldc, ldc);
    } else {
      gemm_alone(m, size, k, a, b.from(0, first), beta, c + first, ldc);
    }
  }
}

}  // namespace damc
