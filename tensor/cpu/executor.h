/// The CPU's loops: OpenMP threads outside, SIMD inside.
///
/// How a sum is cut into partial sums depends on its shape only, so results do not depend on the number of
/// threads.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tensor/kernels/philox.h"
#include "tensor/kernels/tensor_list.h"

namespace damc {

class CpuExecutor {
 public:
  template <class Body>
  void for_each(std::int64_t n, const Body& body) const {
#pragma omp parallel for simd schedule(static) if (n >= kParallelItems)
    for (std::int64_t i = 0; i < n; ++i) body(i);
  }

  /// Whole blocks of a body of this thread's own: a loop that the compiler turns into SIMD.
  template <class Body>
  void for_blocks(std::int64_t n, const Body& body) const {
    const std::int64_t whole = n / kBlockNumbers;
#pragma omp parallel if (whole >= kParallelItems)
    {
      const Body mine = body;
      const std::int64_t threads = omp_get_num_threads(), me = omp_get_thread_num();
      const std::int64_t end = whole * (me + 1) / threads;
      for (std::int64_t k = whole * me / threads; k < end; ++k) {
        const auto row = mine.row(k);
        for (int j = 0; j < kBlockNumbers; ++j) row(j);
      }
    }
    if (whole * kBlockNumbers == n) return;
    const auto rest = body.row(whole);
    for (std::int64_t j = 0; j < n - whole * kBlockNumbers; ++j) rest(j);
  }

  template <class Body>
  void for_rows(std::int64_t rows, std::int64_t cols, const Body& body) const {
    const std::int64_t total = rows * cols;
    if (total < kParallelElements || omp_in_parallel()) {
      walk(0, total, cols, body);
      return;
    }
#pragma omp parallel
    {
      const std::int64_t threads = omp_get_num_threads(), me = omp_get_thread_num();
      walk(total * me / threads, total * (me + 1) / threads, cols, body);
    }
  }

  template <class Body>
  void for_pieces(const TensorList& tensors, const Body& body) const {
    const std::int64_t pieces = tensors.pieces();
#pragma omp parallel for schedule(static) if (pieces * kPieceElements >= kParallelElements)
    for (std::int64_t q = 0; q < pieces; ++q) {
      const TensorList::Piece piece = tensors.piece(q);
      const auto row = body.row(piece.tensor);
#pragma omp simd
      for (std::int64_t c = piece.first; c < piece.last; ++c) row(c);
    }
  }

  template <class T, class Body>
  void sum_pieces(const TensorList& tensors, const Body& body, T* out) const {
    const std::int64_t pieces = tensors.pieces();
    std::vector<T> partial(static_cast<std::size_t>(pieces));
#pragma omp parallel for schedule(static) if (pieces * kPieceElements >= kParallelElements)
    for (std::int64_t q = 0; q < pieces; ++q) {
      const TensorList::Piece piece = tensors.piece(q);
      partial[static_cast<std::size_t>(q)] = sum_run<T>(body, piece.tensor, piece.first, piece.last);
    }
    double sum = 0.0;
    for (const T part : partial) sum += static_cast<double>(part);
    *out = static_cast<T>(sum);
  }

  template <class T, class Body>
  void reduce(std::int64_t outer, std::int64_t reduced, std::int64_t inner, const Body& body, T* out) const {
    const std::int64_t block = std::min(inner, kLanes);
    const std::int64_t blocks = inner == 0 ? 0 : (inner + block - 1) / block;
    const std::int64_t chunk = std::max<std::int64_t>(1, kChunkElements / std::max<std::int64_t>(1, block));
    const std::int64_t chunks = std::max<std::int64_t>(1, (reduced + chunk - 1) / chunk);
    std::vector<T> partial(chunks > 1 ? static_cast<std::size_t>(outer * chunks * inner) : 0);
    T* target = chunks > 1 ? partial.data() : out;
    const std::int64_t tasks = outer * chunks * blocks;
#pragma omp parallel for schedule(static) if (outer * reduced * inner >= kParallelElements)
    for (std::int64_t task = 0; task < tasks; ++task) {
      const std::int64_t b = task % blocks, k = task / blocks % chunks, o = task / blocks / chunks;
      const std::int64_t first = k * chunk, last = std::min(reduced, first + chunk);
      const std::int64_t i0 = b * block, width = std::min(block, inner - i0);
      T* sums = target + (o * chunks + k) * inner + i0;
      if (inner == 1) {
        *sums = sum_run<T>(body, o, first, last);
      } else {
        sum_rows(body, o, first, last, i0, width, sums);
      }
    }
    if (chunks == 1) return;
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < inner; ++i) {
        double sum = 0.0;
        for (std::int64_t k = 0; k < chunks; ++k) {
          sum += static_cast<double>(partial[static_cast<std::size_t>((o * chunks + k) * inner + i)]);
        }
        out[o * inner + i] = static_cast<T>(sum);
      }
    }
  }

 private:
  static constexpr std::int64_t kParallelItems = 512;
  static constexpr std::int64_t kParallelElements = 1 << 13;
  static constexpr std::int64_t kLanes = 64;               // widest block of columns summed side by side
  static constexpr std::int64_t kChunkElements = 1 << 14;  // terms of one partial sum, over all its lanes

  /// Elements [begin, end) of the flattened rows.
  template <class Body>
  static void walk(std::int64_t begin, std::int64_t end, std::int64_t cols, const Body& body) {
    while (begin < end) {
      const std::int64_t r = begin / cols, c0 = begin - r * cols;
      const std::int64_t c1 = std::min(cols, c0 + (end - begin));
      const auto row = body.row(r);
#pragma omp simd
      for (std::int64_t c = c0; c < c1; ++c) row(c);
      begin += c1 - c0;
    }
  }

  template <class T, class Body>
  static T sum_run(const Body& body, std::int64_t o, std::int64_t first, std::int64_t last) {
    double total = 0.0;
    for (std::int64_t r0 = first; r0 < last; r0 += 1024) {
      const std::int64_t r1 = std::min(last, r0 + 1024);
      T lanes[kLanes] = {};
      std::int64_t r = r0;
      for (; r + kLanes <= r1; r += kLanes) {
#pragma omp simd
        for (std::int64_t i = 0; i < kLanes; ++i) lanes[i] += body.load(o, r + i, 0);
      }
      for (; r < r1; ++r) lanes[0] += body.load(o, r, 0);
      for (const T lane : lanes) total += static_cast<double>(lane);
    }
    return static_cast<T>(total);
  }

  template <class T, class Body>
  static void sum_rows(const Body& body, std::int64_t o, std::int64_t first, std::int64_t last,
                       std::int64_t i0, std::int64_t width, T* sums) {
    double totals[kLanes] = {};
    for (std::int64_t r0 = first; r0 < last; r0 += kTermsInARow) {
      const std::int64_t r1 = std::min(last, r0 + kTermsInARow);
      T lanes[kLanes] = {};
      for (std::int64_t r = r0; r < r1; ++r) {
#pragma omp simd
        for (std::int64_t i = 0; i < width; ++i) lanes[i] += body.load(o, r, i0 + i);
      }
      for (std::int64_t i = 0; i < width; ++i) totals[i] += static_cast<double>(lanes[i]);
    }
    for (std::int64_t i = 0; i < width; ++i) sums[i] = static_cast<T>(totals[i]);
  }
};

}  // namespace damc
