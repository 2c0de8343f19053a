/// The GPU's loops as one thread sees them: which elements and terms fall to it. The kernels of executor.cuh
/// are these functions and what only a GPU has (launches, shared memory, barriers); without a GPU the tests
/// run them for every thread of a grid.
#pragma once

#include <cstdint>

#include "tensor/host_device.h"
#include "tensor/kernels/packs.h"
#include "tensor/kernels/philox.h"
#include "tensor/kernels/tensor_list.h"

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

/// Elements of this row that a thread takes at once: a pack, if the row is taken so and starts well.
template <class Row>
DAMC_HD int widest(const Row& row) {
  constexpr int n = kPackOf<Row>;
  if constexpr (n > 1) {
    if (aligned(row)) return n;
  }
  return 1;
}

/// body.row(k)(j) for the elements of [0, n) of this thread's blocks of noise.
template <class Body>
DAMC_HD void for_blocks_share(const ThreadPlace& at, std::int64_t n, const Body& body) {
  for_each_share(at, noise_blocks(n), [&](std::int64_t k) {
    const std::int64_t left = n - kBlockNumbers * k;
    run_pack(body.row(k), 0, left < kBlockNumbers ? left : kBlockNumbers);
  });
}

/// How for_rows_share walks rows: by packs of `width` elements (packs.h), none of which lies in two rows.
struct RowLoop {
  std::int64_t rows, cols;
  int width;

  DAMC_HD std::int64_t row_packs() const { return (cols + width - 1) / width; }
  DAMC_HD std::int64_t packs() const { return rows * row_packs(); }
};

/// By packs where the first row starts well and is the only one or leaves no rest; else by single elements. Rows are
/// made on the host here: they may compute with the device's addresses, not read there.
template <class Body>
RowLoop row_loop(std::int64_t rows, std::int64_t cols, const Body& body) {
  const int width = widest(body.row(0));
  return {rows, cols, rows == 1 || cols % width == 0 ? width : 1};
}

/// body.row(r)(c) for this thread's elements of the loop.
template <class Body>
DAMC_HD void for_rows_share(const ThreadPlace& at, const RowLoop& loop, const Body& body) {
  const std::int64_t step = static_cast<std::int64_t>(at.blocks.x) * at.threads.x;
  const std::int64_t first = static_cast<std::int64_t>(at.block.x) * at.threads.x + at.thread.x;
  const std::int64_t packs = loop.packs(), row_packs = loop.row_packs();
  for (std::int64_t p = first; p < packs; p += step) {
    const std::int64_t r = loop.rows == 1 ? 0 : quotient(p, row_packs);
    const std::int64_t c = (p - r * row_packs) * loop.width, end = c + loop.width;
    run_pack(body.row(r), c, end < loop.cols ? end : loop.cols);
  }
}

/// body.row(s)(c) for this thread's elements of several tensors; a block takes whole pieces, which start as well as
/// their tensors do.
template <class Body>
DAMC_HD void for_pieces_share(const ThreadPlace& at, const TensorList& tensors, const Body& body) {
  for (std::int64_t q = at.block.x; q < tensors.pieces(); q += at.blocks.x) {
    const TensorList::Piece piece = tensors.piece(q);
    const auto row = body.row(piece.tensor);
    const int width = widest(row);
    const std::int64_t step = static_cast<std::int64_t>(at.threads.x) * width;
    for (std::int64_t c = piece.first + static_cast<std::int64_t>(at.thread.x) * width; c < piece.last;
         c += step)
      run_pack(row, c, c + width < piece.last ? c + width : piece.last);
  }
}

/// This thread's part in the sum over a piece.
template <class T, class Body>
DAMC_HD T piece_share(const ThreadPlace& at, const TensorList::Piece& piece, const Body& body) {
  T total = T(0);
  for (std::int64_t c = piece.first + at.thread.x; c < piece.last; c += at.threads.x)
    total += body.load(piece.tensor, c, 0);
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
  DAMC_HD double sum(const Body& body, std::int64_t o) const {
    double total = 0.0;
    for (std::int64_t r = first; r < last;) {
      const std::int64_t run = r + kTermsInARow * step, end = run < last ? run : last;
      T part = T(0);
      for (; r < end; r += step) part += body.load(o, r, i);
      total += static_cast<double>(part);
    }
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
