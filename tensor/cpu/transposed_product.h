/// Products over the rows of both factors, a^T b, as gradients of weights are. A panel of b is packed by the thread that
/// multiplies it, from rows that need not lie beside each other: of a convolution they are pieces of the image.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tensor/cpu/packed.h"
#include "tensor/cpu/parallel.h"
#include "tensor/cpu/pool.h"

namespace damc {

/// to [columns, rows] = from [rows, columns], rows of `filled` in it, those beyond `rows` 0
template <class T>
void transpose(std::int64_t rows, std::int64_t columns, const T* from, T* to, std::int64_t filled) {
  constexpr std::int64_t tile = 32;  // whose lines stay in the cache
#pragma omp parallel for schedule(static)
  for (std::int64_t c0 = 0; c0 < columns; c0 += tile) {
    const std::int64_t c1 = std::min(columns, c0 + tile);
    for (std::int64_t r0 = 0; r0 < rows; r0 += tile) {
      const std::int64_t r1 = std::min(rows, r0 + tile);
      for (std::int64_t c = c0; c < c1; ++c) {
        for (std::int64_t r = r0; r < r1; ++r) to[c * filled + r] = from[r * columns + c];
      }
    }
    for (std::int64_t c = c0; c < c1; ++c) std::fill(to + c * filled + rows, to + (c + 1) * filled, T{});
  }
}

/// The rows of a contiguous matrix as transposed_product asks for them.
template <class T>
struct MatrixRows {
  const T* data;
  std::int64_t columns;

  /// begins[i]: number `column` of row first + i
  void operator()(std::int64_t first, std::int64_t count, std::int64_t column, const T** begins) const {
    for (std::int64_t i = 0; i < count; ++i) begins[i] = data + (first + i) * columns + column;
  }
};

/// c [m, n] = a^T b, or c + a^T b if it `adds`, for contiguous a [k, m] and b [k, n] as MatrixRows gives it; in blocks of
/// k whose panels fit into the cache.
template <class T, class Rows>
void transposed_product(HostPool& pool, std::int64_t m, std::int64_t n, std::int64_t k, const T* a,
                        const Rows& rows, bool adds, Computed<T>* c) {
  using Packed = PackedMatrices<T>;
  constexpr std::int64_t most = 2048;
  for (std::int64_t first = 0; first < k; first += most, adds = true) {
    const std::int64_t depth = std::min(most, k - first);
    const std::int64_t filled = (depth + packed::kFill - 1) / packed::kFill * packed::kFill;
    const Scratch<T> left(pool, m * filled);
    transpose(depth, m, a + first * m, left.data(), filled);
    parallel_tasks((n + Packed::kPanel - 1) / Packed::kPanel, [&](std::int64_t p) {
      const std::int64_t column = p * Packed::kPanel, columns = std::min(Packed::kPanel, n - column);
      const std::int64_t wide = columns > Packed::kLanes ? Packed::kPanel : Packed::kLanes;
      const Scratch<const T*> begins(pool, depth);
      const Scratch<T> panel(pool, filled * wide);
      rows(first, depth, column, begins.data());
      packed::pack_rows(depth, begins.data(), columns, panel.data(), filled, wide);
      const auto multiply = [&](std::int64_t row, std::int64_t count, Computed<T>* to, std::int64_t ld) {
        packed::multiply(count, filled, left.data() + row * filled, filled, panel.data(), wide, to, ld,
                         columns);
      };
      if (!adds) {
        multiply(0, m, c + column, n);
        return;
      }
      Computed<T> piece[packed::kBlock * Packed::kPanel];
      for (std::int64_t row = 0; row < m; row += packed::kBlock) {
        const std::int64_t count = std::min(packed::kBlock, m - row);
        multiply(row, count, piece, wide);
        for (std::int64_t r = 0; r < count; ++r) {
          Computed<T>* to = c + (row + r) * n + column;
#pragma omp simd
          for (std::int64_t j = 0; j < columns; ++j) to[j] += piece[r * wide + j];
        }
      }
    });
  }
}

}  // namespace damc
