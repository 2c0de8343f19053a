/// The GPU's loops as one thread sees them: which elements and terms fall to it. The kernels of executor.cuh
/// are these functions and what only a GPU has (launches, shared memory, barriers); without a GPU the tests
/// run them for every thread of a grid.
#pragma once

#include <cstdint>

#include "tensor/host_device.h"
#include "tensor/segments.h"

namespace damc {

/// Sizes or positions along a grid's dimensions.
struct GridIndex {
  unsigned x, y, z;
};

/// A thread's place: CUDA's blockIdx, threadIdx, gridDim and blockDim.
struct ThreadPlace {
  GridIndex block, thread, blocks, threads;
};

/// body(i) for this thread's elements of [0, n).
template <class Body>
DAMC_HD void for_each_share(const ThreadPlace& at, std::int64_t n, const Body& body) {
  const std::int64_t step = static_cast<std::int64_t>(at.blocks.x) * at.threads.x;
  for (std::int64_t i = static_cast<std::int64_t>(at.block.x) * at.threads.x + at.thread.x; i < n; i += step)
    body(i);
}

/// body.row(r)(c) for elements first, first + step, .. of the flattened [.., cols], counted in integers of type I.
template <class I, class Body>
DAMC_HD void for_rows_from(I first, I total, I step, I cols, const Body& body) {
  for (I i = first; i < total; i += step) {
    const I r = i / cols;
    body.row(r)(i - r * cols);
  }
}

/// body.row(r)(c) for this thread's elements of [rows, cols].
template <class Body>
DAMC_HD void for_rows_share(const ThreadPlace& at, std::int64_t rows, std::int64_t cols, const Body& body) {
  const std::int64_t total = rows * cols, step = static_cast<std::int64_t>(at.blocks.x) * at.threads.x;
  const std::int64_t first = static_cast<std::int64_t>(at.block.x) * at.threads.x + at.thread.x;
  if (rows == 1) {
    const auto row = body.row(0);
    for (std::int64_t i = first; i < total; i += step) row(i);
  } else if (total + step <= 0xFFFFFFFF) {  // a GPU divides 32-bit numbers several times as fast
    for_rows_from(static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(total),
                  static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(cols), body);
  } else {
    for_rows_from(first, total, step, cols, body);
  }
}

/// body.row(s)(c) for this thread's elements of several tensors; a block takes whole pieces.
template <class Body>
DAMC_HD void for_pieces_share(const ThreadPlace& at, const Segments& segments, const Body& body) {
  for (std::int64_t q = at.block.x; q < segments.pieces(); q += at.blocks.x) {
    const Segments::Piece piece = segments.piece(q);
    const auto row = body.row(piece.segment);
    for (std::int64_t c = piece.first + at.thread.x; c < piece.last; c += at.threads.x) row(c);
  }
}

/// This thread's part in the sum over a piece.
template <class T, class Body>
DAMC_HD T piece_share(const ThreadPlace& at, const Segments::Piece& piece, const Body& body) {
  T total = T(0);
  for (std::int64_t c = piece.first + at.thread.x; c < piece.last; c += at.threads.x)
    total += body.load(piece.segment, c, 0);
  return total;
}

/// Most threads of a block that sums: entries of its shared memory.
inline constexpr unsigned kMostSummands = 256;

/// One fold of a block's sums to `left` slots, as the thread of `slot` does it; all threads are between two barriers.
DAMC_HD inline void fold(double* sums, int slot, int left) {
  if (slot < left) sums[slot] += sums[slot + left];
}

/// A thread's part in partial sums [outer, chunks, inner] of terms [outer, reduced, inner]. Blocks: x = inner
/// block, y = chunk of terms, z strides over outer. Threads: x = neighbouring outputs or, for inner = 1,
/// neighbouring terms; y = rows of terms. Each thread sums its terms into its slot of the block's shared sums,
/// then halves of the block are added up until `least` slots are left: one, or for inner > 1 one per output.
struct ReduceShare {
  std::int64_t inner, chunks, chunk_index;
  std::int64_t first, last, step;  ///< its terms; none for a thread beyond the last output
  std::int64_t i;                  ///< its output
  int slot, half, least;           ///< half: slots that the first fold leaves

  DAMC_HD ReduceShare(const ThreadPlace& at, std::int64_t reduced, std::int64_t inner_size,
                      std::int64_t chunk)
      : inner(inner_size), chunks(at.blocks.y), chunk_index(at.block.y) {
    const bool across = inner > 1;
    i = across ? static_cast<std::int64_t>(at.block.x) * at.threads.x + at.thread.x : 0;
    first = chunk_index * chunk + (across ? at.thread.y : at.thread.x);
    step = across ? at.threads.y : at.threads.x;
    const std::int64_t end = (chunk_index + 1) * chunk;
    last = i >= inner ? first : end < reduced ? end : reduced;
    slot = static_cast<int>(at.thread.y * at.threads.x + at.thread.x);
    half = static_cast<int>(at.threads.x * at.threads.y / 2);
    least = across ? static_cast<int>(at.threads.x) : 1;
  }

  template <class T, class Body>
  DAMC_HD T sum(const Body& body, std::int64_t o) const {
    T total = T(0);
    for (std::int64_t r = first; r < last; r += step) total += body.load(o, r, i);
    return total;
  }
  /// After the last fold: whether this thread's slot is a partial sum, and where that belongs.
  DAMC_HD bool writes() const { return slot < least && i < inner; }
  DAMC_HD std::int64_t target(std::int64_t o) const { return (o * chunks + chunk_index) * inner + i; }
};

/// Partial sums [outer, chunks, inner], as terms of their own sum.
template <class T>
struct PartialBody {
  const T* partial;
  std::int64_t chunks, inner;
  DAMC_HD T load(std::int64_t o, std::int64_t r, std::int64_t i) const {
    return partial[(o * chunks + r) * inner + i];
  }
};

}  // namespace damc
