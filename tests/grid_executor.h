/// The CUDA executor (tensor/cuda/executor.cuh) on the host: the same launches, with every thread of a grid run one
/// after the other. Shared memory and barriers are emulated; all else is the code that the kernels are made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "tensor/cuda/launch.h"
#include "tensor/cuda/loops.h"
#include "tensor/error.h"

namespace damc {

/// f(place) for every thread of a grid, block after block.
template <class F>
void for_each_thread(const GridIndex& blocks, const GridIndex& threads, const F& f) {
  ThreadPlace at{{0, 0, 0}, {0, 0, 0}, blocks, threads};
  for (at.block.z = 0; at.block.z < blocks.z; ++at.block.z)
    for (at.block.y = 0; at.block.y < blocks.y; ++at.block.y)
      for (at.block.x = 0; at.block.x < blocks.x; ++at.block.x)
        for (at.thread.z = 0; at.thread.z < threads.z; ++at.thread.z)
          for (at.thread.y = 0; at.thread.y < threads.y; ++at.thread.y)
            for (at.thread.x = 0; at.thread.x < threads.x; ++at.thread.x) f(at);
}

template <class F>
void for_each_thread(const LoopLaunch& launch, const F& f) {
  for_each_thread({launch.blocks, 1, 1}, {launch.threads, 1, 1}, f);
}

class GridExecutor {
 public:
  /// A chip of `processors`. Between two barriers the order of a block's threads must not matter, so they may run
  /// backwards.
  explicit GridExecutor(int processors = 4, bool backwards = false)
      : processors_(processors), backwards_(backwards) {}

  template <class Body>
  void for_each(std::int64_t n, const Body& body) const {
    if (n == 0) return;
    const LoopLaunch launch = loop_launch(n, processors_);
    for_each_thread(launch, [&](const ThreadPlace& at) { for_each_share(at, n, body); });
  }

  template <class Body>
  void for_blocks(std::int64_t n, const Body& body) const {
    if (n == 0) return;
    const LoopLaunch launch = loop_launch(noise_blocks(n), processors_);
    for_each_thread(launch, [&](const ThreadPlace& at) { for_blocks_share(at, n, body); });
  }

  template <class Body>
  void for_rows(std::int64_t rows, std::int64_t cols, const Body& body) const {
    if (rows * cols == 0) return;
    const RowLoop loop = row_loop(rows, cols, body);
    const LoopLaunch launch = loop_launch(loop.packs(), processors_);
    for_each_thread(launch, [&](const ThreadPlace& at) { for_rows_share(at, loop, body); });
  }

  template <class Body>
  void for_pieces(const TensorList& tensors, const Body& body) const {
    if (tensors.pieces() == 0) return;
    const LoopLaunch launch = pieces_launch(tensors.pieces(), processors_);
    for_each_thread(launch, [&](const ThreadPlace& at) { for_pieces_share(at, tensors, body); });
  }

  template <class T, class Body>
  void sum_pieces(const TensorList& tensors, const Body& body, T* out) const {
    std::vector<T> partial;
    for (std::int64_t q = 0; q < tensors.pieces(); ++q) {
      const LoopLaunch launch = pieces_launch(tensors.pieces(), processors_);
      const GridIndex threads{launch.threads, 1, 1};
      std::vector<double> sums(launch.threads);
      for_each_thread({1, 1, 1}, threads, [&](const ThreadPlace& at) {
        sums[at.thread.x] = static_cast<double>(piece_share<T>(at, tensors.piece(q), body));
      });
      for (int left = static_cast<int>(launch.threads) / 2; left >= 1; left /= 2) {
        for (int slot = 0; slot < static_cast<int>(launch.threads); ++slot) fold(sums.data(), slot, left);
      }
      partial.push_back(static_cast<T>(sums[0]));
    }
    reduce<T>(1, tensors.pieces(), 1, PartialBody<T>{partial.data(), tensors.pieces(), 1}, out);
  }

  /// Throws Error unless every sum is written exactly once.
  template <class T, class Body>
  void reduce(std::int64_t outer, std::int64_t reduced, std::int64_t inner, const Body& body, T* out) const {
    if (outer * inner == 0) return;
    const ReduceLaunch launch = reduce_launch(outer, reduced, inner);
    const std::int64_t chunks = launch.blocks.y;
    if (chunks == 1) {
      sum_chunks(launch, outer, reduced, inner, body, out);
      return;
    }
    std::vector<T> partial(static_cast<std::size_t>(outer * chunks * inner));
    sum_chunks(launch, outer, reduced, inner, body, partial.data());
    sum_chunks(combine_launch(outer, chunks, inner), outer, chunks, inner,
               PartialBody<T>{partial.data(), chunks, inner}, out);
  }

 private:
  /// One pass: sums [outer, launch.blocks.y, inner].
  template <class T, class Body>
  void sum_chunks(const ReduceLaunch& launch, std::int64_t outer, std::int64_t reduced, std::int64_t inner,
                  const Body& body, T* sums) const {
    std::vector<int> writes(static_cast<std::size_t>(outer * launch.blocks.y * inner));
    for_each_thread(launch.blocks, {1, 1, 1}, [&](const ThreadPlace& block) {
      std::vector<ReduceShare> threads;
      for_each_thread({1, 1, 1}, launch.threads, [&](const ThreadPlace& at) {
        threads.emplace_back(ThreadPlace{block.block, at.thread, launch.blocks, launch.threads}, reduced,
                             inner, launch.chunk);
      });
      for (std::int64_t o = block.block.z; o < outer; o += launch.blocks.z)
        sum_block(threads, body, o, sums, writes);
    });
    for (const int count : writes) ENSURE(count == 1, "grid: a sum is written {} times", count);
  }

  /// What one block does: every thread sums its terms, then folds between barriers.
  template <class T, class Body>
  void sum_block(const std::vector<ReduceShare>& threads, const Body& body, std::int64_t o, T* out,
                 std::vector<int>& writes) const {
    const auto each = [&](const auto& f) {
      for (std::size_t t = 0; t < threads.size(); ++t) f(threads[backwards_ ? threads.size() - 1 - t : t]);
    };
    std::vector<double> sums(kMostSummands, std::numeric_limits<double>::quiet_NaN());
    const auto sum_of = [&](const ReduceShare& thread) -> double& {
      return sums[static_cast<std::size_t>(thread.slot)];
    };
    each([&](const ReduceShare& thread) { sum_of(thread) = thread.sum<T>(body, o); });
    for (int left = threads[0].half; left >= threads[0].least; left /= 2) {
      each([&](const ReduceShare& thread) { fold(sums.data(), thread.slot, left); });
    }
    each([&](const ReduceShare& thread) {
      if (!thread.writes()) return;
      out[thread.target(o)] = static_cast<T>(sum_of(thread));
      ++writes[static_cast<std::size_t>(thread.target(o))];
    });
  }

  int processors_;
  bool backwards_;
};

}  // namespace damc
