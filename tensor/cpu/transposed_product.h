/// Products over the rows of both factors, a^T b, as gradients of weights are.
#pragma once

#include <algorithm>
#include <cstdint>

#include "tensor/cpu/packed.h"
#include "tensor/cpu/pool.h"

namespace damc {

/// to [columns, rows] = from [rows, columns], rows of ld
template <class T>
void transpose(std::int64_t rows, std::int64_t columns, const T* from, std::int64_t ld, T* to) {
  constexpr std::int64_t tile = 32;  // whose lines stay in the cache
#pragma omp parallel for schedule(static)
  for (std::int64_t c0 = 0; c0 < columns; c0 += tile) {
    const std::int64_t c1 = std::min(columns, c0 + tile);
    for (std::int64_t r0 = 0; r0 < rows; r0 += tile) {
      const std::int64_t r1 = std::min(rows, r0 + tile);
      for (std::int64_t c = c0; c < c1; ++c) {
        for (std::int64_t r = r0; r < r1; ++r) to[c * rows + r] = from[r * ld + c];
      }
    }
  }
}

/// c [m, n] = a^T b + beta c for contiguous a [k, m] and b [k, n], in blocks of k whose panels fit into the cache.
template <class T>
void transposed_product(HostPool& pool, std::int64_t m, std::int64_t n, std::int64_t k, const T* a,
                        const T* b, Computed<T> beta, Computed<T>* c) {
  constexpr std::int64_t most = 2048;
  for (std::int64_t first = 0; first < k; first += most) {
    const std::int64_t depth = std::min(most, k - first);
    const Scratch<T> left(pool, m * depth);
    transpose(depth, m, a + first * m, m, left.data());
    PackedMatrices<T> right(pool, 1, depth, n);
    right.pack(0, Matrix<T>{b + first * n, n});
    gemm_pieces<T>(m, left.data(), depth, 0, right,
                   [&](const Computed<T>* piece, std::int64_t ld, std::int64_t, std::int64_t row,
                       std::int64_t rows, std::int64_t column, auto columns) {
                     for (std::int64_t r = 0; r < rows; ++r) {
                       const Computed<T>* sums = piece + r * ld;
                       Computed<T>* to = c + (row + r) * n + column;
                       if (first == 0 && beta == 0) {
                         std::copy_n(sums, std::int64_t{columns}, to);
                       } else {
#pragma omp simd
                         for (std::int64_t j = 0; j < columns; ++j) to[j] += sums[j];
                       }
                     }
                   });
  }
}

}  // namespace damc
