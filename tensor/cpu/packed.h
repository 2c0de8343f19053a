/// Products with a right factor that serves many times: it is packed once into panels, which a small kernel
/// then reads in order. With few rows on the left that saves most of a library's time, which goes into packing
/// at every call (damc bench --suite kernels: linear beside linear_held).
///
/// A panel holds two vectors of columns (or one, the last): [panel, k, columns of the panel], filled up with
/// zeros.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "tensor/cpu/gemm.h"
#include "tensor/cpu/pool.h"

namespace damc {

/// `count` matrices of k x n.
template <class T>
class PackedMatrices {
 public:
#ifdef __AVX512F__
  using Vector [[gnu::vector_size(64)]] = T;
  static constexpr int kRows = 8;  // of one kernel: its sums, two vectors each, fit into the registers
#else
  using Vector [[gnu::vector_size(32)]] = T;
  static constexpr int kRows = 4;
#endif
  static constexpr std::int64_t kLanes = sizeof(Vector) / sizeof(T), kPanel = 2 * kLanes;

  PackedMatrices(HostPool& pool, std::int64_t count, std::int64_t k, std::int64_t n)
      : k_(k), n_(n), width_((n + kLanes - 1) / kLanes * kLanes), values_(pool, count * k * width_) {}

  std::int64_t k() const { return k_; }
  std::int64_t n() const { return n_; }
  std::int64_t panels() const { return (n_ + kPanel - 1) / kPanel; }
  /// Columns of a panel, with the filling.
  std::int64_t columns(std::int64_t panel) const { return std::min(kPanel, width_ - panel * kPanel); }
  const T* panel(std::int64_t matrix, std::int64_t panel) const {
    return values_.data() + (matrix * width_ + panel * kPanel) * k_;
  }

  /// Takes the values of matrix number `matrix` from b.
  void pack(std::int64_t matrix, const Matrix<T>& b) {
#pragma omp parallel for schedule(static)
    for (std::int64_t p = 0; p < panels(); ++p) {
      T* to = values_.data() + (matrix * width_ + p * kPanel) * k_;
      const std::int64_t wide = columns(p), first = p * kPanel, inside = std::min(wide, n_ - first);
      for (std::int64_t i = 0; i < k_; ++i, to += wide) {
        for (std::int64_t j = 0; j < inside; ++j) {
          to[j] = b.transposed ? b.data[(first + j) * b.ld + i] : b.data[i * b.ld + first + j];
        }
        std::fill_n(to + inside, wide - inside, T(0));
      }
    }
  }

 private:
  std::int64_t k_, n_, width_;
  Scratch<T> values_;
};

namespace packed {

/// c [rows, columns of the panel] = a [rows, k] panel; the sums stay in registers, so nothing may take their
/// address but copies of constant size.
template <int rows, int vectors, class T>
void kernel(std::int64_t k, const T* a, std::int64_t lda, const T* panel, T* c, std::int64_t ldc) {
  constexpr std::int64_t lanes = PackedMatrices<T>::kLanes;
  using Vector = typename PackedMatrices<T>::Vector;
  Vector sums[rows][vectors];
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < vectors; ++v) sums[r][v] = Vector{};
  }
  for (std::int64_t i = 0; i < k; ++i) {
    Vector b[vectors];
    for (int v = 0; v < vectors; ++v) std::memcpy(&b[v], panel + (i * vectors + v) * lanes, sizeof(Vector));
    for (int r = 0; r < rows; ++r) {
      for (int v = 0; v < vectors; ++v) sums[r][v] += a[r * lda + i] * b[v];
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < vectors; ++v) std::memcpy(c + r * ldc + v * lanes, &sums[r][v], sizeof(Vector));
  }
}

/// m rows of a times one panel, of whose columns the first `columns` belong to c.
template <int vectors, class T>
void rows_times_panel(std::int64_t m, std::int64_t k, const T* a, std::int64_t lda, const T* panel, T* c,
                      std::int64_t ldc, std::int64_t columns) {
  constexpr int rows = PackedMatrices<T>::kRows;
  constexpr std::int64_t wide = vectors * PackedMatrices<T>::kLanes;
  T edge[rows * wide];  // takes the filling of the last panel
  const auto multiply = [&]<int count>(std::integral_constant<int, count>, std::int64_t i) {
    if (columns == wide) {
      kernel<count, vectors>(k, a + i * lda, lda, panel, c + i * ldc, ldc);
      return;
    }
    kernel<count, vectors>(k, a + i * lda, lda, panel, edge, wide);
    for (int r = 0; r < count; ++r) std::copy_n(edge + r * wide, columns, c + (i + r) * ldc);
  };
  std::int64_t i = 0;
  for (; i + rows <= m; i += rows) multiply(std::integral_constant<int, rows>{}, i);
  for (; i < m; ++i) multiply(std::integral_constant<int, 1>{}, i);
}

}  // namespace packed

/// c = a b for `count` matrices: number q of a starts at a + q a_stride (m x k, rows of lda), of c at
/// c + q c_stride (m x n, rows of ldc).
template <class T>
void gemm(std::int64_t count, std::int64_t m, const T* a, std::int64_t lda, std::int64_t a_stride,
          const PackedMatrices<T>& b, T* c, std::int64_t ldc, std::int64_t c_stride) {
  constexpr std::int64_t block = 128;      // rows of a that stay in the cache from panel to panel
  constexpr std::int64_t least = 1 << 15;  // multiply-adds worth a second thread
  const std::int64_t blocks = (m + block - 1) / block, panels = b.panels();
#pragma omp parallel for schedule(static) if (count * m * b.n() * b.k() >= least)
  for (std::int64_t task = 0; task < count * blocks * panels; ++task) {
    const std::int64_t p = task % panels, first = task / panels % blocks * block, q = task / panels / blocks;
    const std::int64_t rows = std::min(block, m - first);
    const std::int64_t columns = std::min(PackedMatrices<T>::kPanel, b.n() - p * PackedMatrices<T>::kPanel);
    const T* from = a + q * a_stride + first * lda;
    T* to = c + q * c_stride + first * ldc + p * PackedMatrices<T>::kPanel;
    if (b.columns(p) == PackedMatrices<T>::kPanel) {
      packed::rows_times_panel<2>(rows, b.k(), from, lda, b.panel(q, p), to, ldc, columns);
    } else {
      packed::rows_times_panel<1>(rows, b.k(), from, lda, b.panel(q, p), to, ldc, columns);
    }
  }
}

}  // namespace damc
