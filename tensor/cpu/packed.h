/// Products with a right factor that serves many times: it is packed once into panels, which a small kernel
/// then reads in order. With few rows on the left that saves most of a library's time, which goes into packing
/// at every call (damc bench --suite kernels: linear beside linear_held).
///
/// A panel holds two vectors of columns (or one, the last): [panel, steps along k, columns of the panel, numbers of a
/// step], filled up with zeros; a step is one number, in bf16 two (factors.h).
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>

#include "tensor/cpu/factors.h"
#include "tensor/cpu/gemm.h"
#include "tensor/cpu/pool.h"
#include "tensor/cpu/tile_product.h"

namespace damc {

/// `count` matrices of k x n.
template <class T>
class PackedMatrices {
 public:
  using Vector = typename Factors<T>::Vector;
  static constexpr int kDepth = Factors<T>::depth;
  static constexpr std::int64_t kLanes = sizeof(Vector) / sizeof(T) / kDepth, kPanel = 2 * kLanes;
  /// Of one kernel: its sums, two vectors each, fit into the registers.
  static constexpr int kRows = kRegister / 8;

  PackedMatrices(HostPool& pool, std::int64_t count, std::int64_t k, std::int64_t n)
      : count_(count),
        k_(k),
        n_(n),
        steps_((k + kDepth - 1) / kDepth),
        width_((n + kLanes - 1) / kLanes * kLanes),
        values_(pool, count * steps_ * kDepth * width_) {}

  std::int64_t count() const { return count_; }
  std::int64_t k() const { return k_; }
  std::int64_t n() const { return n_; }
  std::int64_t panels() const { return (n_ + kPanel - 1) / kPanel; }
  /// Columns of a panel, with the filling.
  std::int64_t columns(std::int64_t panel) const { return std::min(kPanel, width_ - panel * kPanel); }
  const T* panel(std::int64_t matrix, std::int64_t panel) const {
    return values_.data() + offset(matrix, panel);
  }

  /// Takes the values of matrix number `matrix` from b, rounded if need be.
  template <class From>
  void pack(std::int64_t matrix, const Matrix<From>& b) {
    pack(matrix, b, [](std::int64_t j) { return j; });
  }
  /// The same; column j is number source(j) of b, or zeros where that is negative.
  template <class From, class Source>
  void pack(std::int64_t matrix, const Matrix<From>& b, const Source& source) {
    // Panels that take their parts of a row of b one after the other, while its page is at hand.
    const std::int64_t beside = b.transposed ? 1 : 8;
#pragma omp parallel for schedule(static)
    for (std::int64_t first = 0; first < panels(); first += beside) {
      const std::int64_t end = std::min(first + beside, panels());
      for (std::int64_t k = 0; k < k_; k += kRun) {
        for (std::int64_t p = first; p < end; ++p) {
          std::int64_t from[kPanel];
          for (std::int64_t j = 0; j < kPanel; ++j)
            from[j] = p * kPanel + j < n_ ? source(p * kPanel + j) : -1;
          T* to = values_.data() + offset(matrix, p) + k * columns(p);
          pack_run(b, k, std::min(kRun, k_ - k), from, columns(p), to);
        }
      }
    }
  }

  /// kDepth rows of a panel's columns, the first and the last, as one step.
  template <class From>
  static void interleave(const From* first, const From* last, T* to) {
    const auto put = [&](std::int64_t j) {
      if constexpr (kDepth == 1) {
        to[j] = T(first[j]);
      } else {  // by their bits: copies of structures are not vectorised
        to[2 * j].bits = T(first[j]).bits;
        to[2 * j + 1].bits = T(last[j]).bits;
      }
    };
#pragma omp simd
    for (std::int64_t j = 0; j < kPanel; ++j) put(j);
  }

 private:
  /// Rows that are packed at a time: of a column about a cache line.
  static constexpr std::int64_t kRun = 16 * kDepth;

  std::int64_t offset(std::int64_t matrix, std::int64_t panel) const {
    return (matrix * width_ + panel * kPanel) * steps_ * kDepth;
  }

  /// Rows [first, first + count) of b's columns number from[0], .., from[wide - 1].
  template <class From>
  static void pack_run(const Matrix<From>& b, std::int64_t first, std::int64_t count,
                       const std::int64_t (&from)[kPanel], std::int64_t wide, T* to) {
    const bool whole = wide == kPanel && from[0] >= 0 && from[kPanel - 1] == from[0] + kPanel - 1;
    if (!whole || count % kDepth != 0) std::fill_n(to, (count + kDepth - 1) / kDepth * kDepth * wide, T{});
    const std::int64_t step_length = wide * kDepth;
    if (b.transposed) {
      for (std::int64_t j = 0; j < wide; ++j) {
        if (from[j] >= 0) put_run(b.data + from[j] * b.ld + first, count, to + j * kDepth, step_length);
      }
      return;
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const From* row = b.data + (first + i) * b.ld;
      T* step = to + i / kDepth * step_length + i % kDepth;
      if (whole && i % kDepth == 0 && i + kDepth <= count) {
        interleave(row + from[0], row + from[0] + (kDepth - 1) * b.ld, step);
        i += kDepth - 1;
        continue;
      }
      for (std::int64_t j = 0; j < wide; ++j) {
        if (from[j] >= 0) step[j * kDepth] = T(row[from[j]]);
      }
    }
  }

  /// A column's next numbers, rounded, to one step after the other.
  template <class From>
  static void put_run(const From* column, std::int64_t count, T* to, std::int64_t step_length) {
    T run[kRun];
    if constexpr (std::is_same_v<From, T>) {
      std::copy_n(column, count, run);
    } else {
      const auto put = [&](std::int64_t i) { run[i] = T(column[i]); };
#pragma omp simd
      for (std::int64_t i = 0; i < count; ++i) put(i);
    }
    if (count % kDepth != 0) run[count] = T{};
    for (std::int64_t i = 0; i < count; i += kDepth, to += step_length)
      std::memcpy(to, run + i, kDepth * sizeof(T));
  }

  std::int64_t count_, k_, n_, steps_, width_;
  Scratch<T> values_;
};

namespace packed {

/// Numbers along k that a kernel takes at a time: factors that are filled up to whole ones have no end of their own.
#ifdef DAMC_CPU_TILES
inline constexpr std::int64_t kFill = kTileDepth;
#else
inline constexpr std::int64_t kFill = 2;
#endif

/// A panel, `wide`, from rows that begin at begins[i] and have `columns` numbers; filled up with zeros to `filled` rows.
template <class T>
void pack_rows(std::int64_t rows, const T* const* begins, std::int64_t columns, T* panel, std::int64_t filled,
               std::int64_t wide) {
  constexpr int depth = PackedMatrices<T>::kDepth;
  constexpr std::int64_t whole = PackedMatrices<T>::kPanel;
  std::int64_t i = 0;
  if (columns == whole) {
    for (; i + depth <= rows; i += depth) {
      PackedMatrices<T>::interleave(begins[i], begins[i + depth - 1], panel + i * whole);
    }
  }
  std::fill(panel + i * wide, panel + filled * wide, T{});
  for (; i < rows; ++i) {
    T* step = panel + i / depth * depth * wide + i % depth;
    for (std::int64_t j = 0; j < columns; ++j) step[j * depth] = begins[i][j];
  }
}

/// f(0), .., f(count - 1) with constants, written out: arrays that are indexed by them are kept in registers.
template <int count, class F>
[[gnu::always_inline]] inline void unrolled(const F& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) { (f(std::integral_constant<int, i>{}), ...); }
  (std::make_integer_sequence<int, count>{});
}

/// Bytes of a panel that are fetched before they are needed: processors do not look as far ahead by themselves.
inline constexpr std::int64_t kAhead = 1024;

/// c [rows, columns of the panel] = a [rows, k] panel
template <int rows, int vectors, class T>
void kernel(std::int64_t k, const T* a, std::int64_t lda, const T* panel, Computed<T>* c, std::int64_t ldc) {
  using F = Factors<T>;
  using Sums = typename F::Sums;
  Sums sums[rows][vectors];
  const auto for_sums = [&](const auto& f) {
    unrolled<rows>([&](auto r) { unrolled<vectors>([&](auto v) { f(sums[r][v], r, v); }); });
  };
  for_sums([](Sums& sum, auto, auto) { sum = Sums{}; });
  typename F::Vector b[vectors];
  const auto load = [&](std::int64_t i) {
    unrolled<vectors>([&](auto v) {
      const T* from = panel + (i * vectors + v * F::depth) * PackedMatrices<T>::kLanes;
      std::memcpy(&b[v], from, kRegister);
      __builtin_prefetch(reinterpret_cast<const char*>(from) + kAhead);
    });
  };
  std::int64_t i = 0;
  for (; i + F::depth <= k; i += F::depth) {
    load(i);
    for_sums([&](Sums& sum, auto r, auto v) { F::add(sum, F::of_row(a + r * lda + i), b[v]); });
  }
  if (i < k) {
    load(i);
    for_sums([&](Sums& sum, auto r, auto v) { F::add(sum, F::last_of_row(a + r * lda + i), b[v]); });
  }
  for_sums([&](const Sums& sum, auto r, auto v) {
    std::memcpy(c + r * ldc + v * PackedMatrices<T>::kLanes, &sum, kRegister);
  });
}

/// f(value), as a constant if it has its usual value: loops of a few whole vectors need no more than them.
template <std::int64_t usual, class F>
void as_constant(std::int64_t value, const F& f) {
  if (value == usual) {
    f(std::integral_constant<std::int64_t, usual>{});
  } else {
    f(value);
  }
}

/// m rows of a times one panel, of whose columns the first `columns` belong to c.
template <int vectors, class T>
void rows_times_panel(std::int64_t m, std::int64_t k, const T* a, std::int64_t lda, const T* panel,
                      Computed<T>* c, std::int64_t ldc, std::int64_t columns) {
  constexpr int rows = PackedMatrices<T>::kRows;
  constexpr std::int64_t wide = vectors * PackedMatrices<T>::kLanes;
  Computed<T> edge[rows * wide];  // takes the filling of the last panel
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
  for (; i + rows / 4 <= m; i += rows / 4) multiply(std::integral_constant<int, rows / 4>{}, i);
  for (; i < m; ++i) multiply(std::integral_constant<int, 1>{}, i);
}

inline constexpr std::int64_t kBlock = 128;  // rows of a that stay in the cache from panel to panel

/// f(matrix, panel, first row, rows) for every panel of `b` and block of the m rows on the left.
template <class T, class F>
void for_panels(std::int64_t m, const PackedMatrices<T>& b, const F& f) {
  constexpr std::int64_t least = 1 << 15;  // multiply-adds worth a second thread
  const std::int64_t blocks = (m + kBlock - 1) / kBlock, panels = b.panels();
#pragma omp parallel for schedule(static) if (b.count() * m * b.n() * b.k() >= least)
  for (std::int64_t task = 0; task < b.count() * blocks * panels; ++task) {
    const std::int64_t first = task / panels % blocks * kBlock;
    f(task / panels / blocks, task % panels, first, std::min(kBlock, m - first));
  }
}

/// c [rows, columns] = a [rows, k] panel, which is `wide`; by tiles in the kernels for processors that have them
template <class T>
void multiply(std::int64_t rows, std::int64_t k, const T* a, std::int64_t lda, const T* panel,
              std::int64_t wide, Computed<T>* c, std::int64_t ldc, std::int64_t columns) {
#ifdef DAMC_CPU_TILES
  if constexpr (std::is_same_v<T, bf16>) {
    static_assert(PackedMatrices<T>::kLanes == kTileColumns);
    TileProduct<AmxTiles> product(k, lda, panel, wide, ldc);
    product(rows, a, c, columns);
    return;
  }
#endif
  if (wide == PackedMatrices<T>::kPanel) {
    rows_times_panel<2>(rows, k, a, lda, panel, c, ldc, columns);
  } else {
    rows_times_panel<1>(rows, k, a, lda, panel, c, ldc, columns);
  }
}
template <class T>
void multiply(std::int64_t rows, const T* a, std::int64_t lda, const PackedMatrices<T>& b,
              std::int64_t matrix, std::int64_t panel, Computed<T>* c, std::int64_t ldc,
              std::int64_t columns) {
  multiply(rows, b.k(), a, lda, b.panel(matrix, panel), b.columns(panel), c, ldc, columns);
}

}  // namespace packed

/// c = a b for the count() matrices of b: number q of a starts at a + q a_stride (m x k, rows of lda), of c at
/// c + q c_stride (m x n, rows of ldc). Every piece of c goes to finish(piece, ldc, rows, its first column, columns)
/// while it lies in the cache.
template <class T, class Finish>
void gemm(std::int64_t m, const T* a, std::int64_t lda, std::int64_t a_stride, const PackedMatrices<T>& b,
          Computed<T>* c, std::int64_t ldc, std::int64_t c_stride, const Finish& finish) {
  packed::for_panels(m, b, [&](std::int64_t q, std::int64_t p, std::int64_t first, std::int64_t rows) {
    const std::int64_t column = p * PackedMatrices<T>::kPanel;
    const std::int64_t columns = std::min(PackedMatrices<T>::kPanel, b.n() - column);
    Computed<T>* piece = c + q * c_stride + first * ldc + column;
    packed::multiply(rows, a + q * a_stride + first * lda, lda, b, q, p, piece, ldc, columns);
    packed::as_constant<PackedMatrices<T>::kPanel>(
        columns, [&](auto count) { finish(piece, ldc, rows, column, count); });
  });
}

/// The same for results that are not sums as they come: use(piece, ld, matrix, first row, rows, first column, columns)
/// gets them piece by piece.
template <class T, class Use>
void gemm_pieces(std::int64_t m, const T* a, std::int64_t lda, std::int64_t a_stride,
                 const PackedMatrices<T>& b, const Use& use) {
  constexpr std::int64_t wide = PackedMatrices<T>::kPanel;
  packed::for_panels(m, b, [&](std::int64_t q, std::int64_t p, std::int64_t first, std::int64_t rows) {
    Computed<T> piece[packed::kBlock * wide];
    packed::multiply(rows, a + q * a_stride + first * lda, lda, b, q, p, piece, wide, b.columns(p));
    packed::as_constant<wide>(std::min(wide, b.n() - p * wide),
                              [&](auto columns) { use(piece, wide, q, first, rows, p * wide, columns); });
  });
}

/// Two products of a in one, a b_1 and a b_2, packed as pairs of columns (see pack_pairs): use(y_1, y_2, ld, first row,
/// rows, first column, columns) gets them piece by piece.
template <class T, class Use>
void gemm_pairs(std::int64_t m, const T* a, std::int64_t lda, const PackedMatrices<T>& pairs, std::int64_t n,
                const Use& use) {
  constexpr std::int64_t lanes = PackedMatrices<T>::kLanes, wide = PackedMatrices<T>::kPanel;
  packed::for_panels(m, pairs, [&](std::int64_t, std::int64_t p, std::int64_t first, std::int64_t rows) {
    T piece[packed::kBlock * wide];
    packed::multiply(rows, a + first * lda, lda, pairs, 0, p, piece, wide, wide);
    packed::as_constant<lanes>(std::min(lanes, n - p * lanes), [&](auto columns) {
      use(piece, piece + lanes, wide, first, rows, p * lanes, columns);
    });
  });
}

/// b [k, 2n] for gemm_pairs: every panel is a vector of columns of the first half and the same of the second.
template <class T>
std::shared_ptr<const PackedMatrices<T>> pack_pairs(HostPool& pool, std::int64_t k, std::int64_t n,
                                                    const Matrix<T>& b) {
  constexpr std::int64_t lanes = PackedMatrices<T>::kLanes, wide = PackedMatrices<T>::kPanel;
  auto pairs = std::make_shared<PackedMatrices<T>>(pool, 1, k, (n + lanes - 1) / lanes * wide);
  pairs->pack(0, b, [&](std::int64_t j) {
    const std::int64_t column = j / wide * lanes + j % lanes;
    return column >= n ? -1 : j % wide < lanes ? column : n + column;
  });
  return pairs;
}

}  // namespace damc
