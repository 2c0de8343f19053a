/// The GPU's loops; the counterpart of tensor/cpu/executor.h. Everything runs on one stream.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "tensor/cuda/check.h"
#include "tensor/cuda/launch.h"
#include "tensor/cuda/loops.h"
#include "tensor/cuda/memory.h"

namespace damc {

__device__ inline ThreadPlace this_thread() {
  return {{blockIdx.x, blockIdx.y, blockIdx.z},
          {threadIdx.x, threadIdx.y, threadIdx.z},
          {gridDim.x, gridDim.y, gridDim.z},
          {blockDim.x, blockDim.y, blockDim.z}};
}

template <class Body>
__global__ void for_each_kernel(std::int64_t n, Body body) {
  for_each_share(this_thread(), n, body);
}

template <class Body>
__global__ void for_blocks_kernel(std::int64_t n, Body body) {
  for_blocks_share(this_thread(), n, body);
}

template <class Body>
__global__ void for_rows_kernel(RowLoop loop, Body body) {
  for_rows_share(this_thread(), loop, body);
}

template <class T, class Body>
__global__ void reduce_kernel(std::int64_t outer, std::int64_t reduced, std::int64_t inner,
                              std::int64_t chunk, Body body, T* partial) {
  __shared__ double sums[kMostSummands];
  const ReduceShare share(this_thread(), reduced, inner, chunk);
  for (std::int64_t o = blockIdx.z; o < outer; o += gridDim.z) {
    sums[share.slot] = share.sum<T>(body, o);
    for (int left = share.half; left >= share.least; left /= 2) {
      __syncthreads();
      fold(sums, share.slot, left);
    }
    if (share.writes()) partial[share.target(o)] = static_cast<T>(sums[share.slot]);
    __syncthreads();  // the slots are free for the next output only now
  }
}

/// List and body are large: __grid_constant__ leaves them where the launch put them.
template <class Body>
__global__ void for_pieces_kernel(const __grid_constant__ TensorList tensors,
                                  const __grid_constant__ Body body) {
  for_pieces_share(this_thread(), tensors, body);
}

template <class T, class Body>
__global__ void sum_pieces_kernel(const __grid_constant__ TensorList tensors,
                                  const __grid_constant__ Body body, T* partial) {
  __shared__ double sums[kMostSummands];
  const int slot = static_cast<int>(threadIdx.x);
  for (std::int64_t q = blockIdx.x; q < tensors.pieces(); q += gridDim.x) {
    sums[slot] = static_cast<double>(piece_share<T>(this_thread(), tensors.piece(q), body));
    for (int left = static_cast<int>(blockDim.x) / 2; left >= 1; left /= 2) {
      __syncthreads();
      fold(sums, slot, left);
    }
    if (slot == 0) partial[q] = static_cast<T>(sums[0]);
    __syncthreads();  // the slots are free for the next piece only now
  }
}

class CudaExecutor {
 public:
  CudaExecutor() = default;
  /// Queues everything on memory's stream.
  explicit CudaExecutor(CudaMemory& memory) : memory_(&memory) {}

  template <class Body>
  void for_each(std::int64_t n, const Body& body) const {
    if (n == 0) return;
    const LoopLaunch launch = loop_launch(n, memory_->processors());
    memory_->use_device();
    for_each_kernel<<<launch.blocks, launch.threads, 0, memory_->stream()>>>(n, body);
    check_launch("an elementwise kernel over", {n});
  }

  template <class Body>
  void for_blocks(std::int64_t n, const Body& body) const {
    if (n == 0) return;
    const LoopLaunch launch = loop_launch(noise_blocks(n), memory_->processors());
    memory_->use_device();
    for_blocks_kernel<<<launch.blocks, launch.threads, 0, memory_->stream()>>>(n, body);
    check_launch("a kernel over noise for", {n});
  }

  template <class Body>
  void for_rows(std::int64_t rows, std::int64_t cols, const Body& body) const {
    if (rows * cols == 0) return;
    const RowLoop loop = row_loop(rows, cols, body);
    const LoopLaunch launch = loop_launch(loop.packs(), memory_->processors());
    memory_->use_device();
    for_rows_kernel<<<launch.blocks, launch.threads, 0, memory_->stream()>>>(loop, body);
    check_launch("a kernel over rows", {rows, cols});
  }

  template <class Body>
  void for_pieces(const TensorList& tensors, const Body& body) const {
    if (tensors.pieces() == 0) return;
    const LoopLaunch launch = pieces_launch(tensors.pieces(), memory_->processors());
    memory_->use_device();
    for_pieces_kernel<<<launch.blocks, launch.threads, 0, memory_->stream()>>>(tensors, body);
    check_launch("a kernel over pieces", {tensors.pieces()});
  }

  template <class T, class Body>
  void sum_pieces(const TensorList& tensors, const Body& body, T* out) const {
    const std::int64_t pieces = tensors.pieces();
    const CudaBlock block(*memory_, static_cast<std::size_t>(pieces) * sizeof(T));
    T* partial = static_cast<T*>(block.data());
    if (pieces > 0) {
      const LoopLaunch launch = pieces_launch(pieces, memory_->processors());
      memory_->use_device();
      sum_pieces_kernel<T><<<launch.blocks, launch.threads, 0, memory_->stream()>>>(tensors, body, partial);
      check_launch("a sum over pieces", {pieces});
    }
    reduce<T>(1, pieces, 1, PartialBody<T>{partial, pieces, 1}, out);
  }

  template <class T, class Body>
  void reduce(std::int64_t outer, std::int64_t reduced, std::int64_t inner, const Body& body, T* out) const {
    if (outer * inner == 0) return;
    const ReduceLaunch launch = reduce_launch(outer, reduced, inner);
    const std::int64_t chunks = launch.blocks.y;
    if (chunks == 1) {
      sum_chunks(launch, outer, reduced, inner, body, out);
      return;
    }
    const CudaBlock block(*memory_, static_cast<std::size_t>(outer * chunks * inner) * sizeof(T));
    T* partial = static_cast<T*>(block.data());
    sum_chunks(launch, outer, reduced, inner, body, partial);
    sum_chunks(combine_launch(outer, chunks, inner), outer, chunks, inner,
               PartialBody<T>{partial, chunks, inner}, out);
  }

 private:
  template <class T, class Body>
  void sum_chunks(const ReduceLaunch& launch, std::int64_t outer, std::int64_t reduced, std::int64_t inner,
                  const Body& body, T* partial) const {
    memory_->use_device();
    reduce_kernel<T><<<size(launch.blocks), size(launch.threads), 0, memory_->stream()>>>(
        outer, reduced, inner, launch.chunk, body, partial);
    check_launch("a sum over the second of", {outer, reduced, inner});
  }

  static dim3 size(const GridIndex& index) { return {index.x, index.y, index.z}; }

  CudaMemory* memory_ = nullptr;
};

}  // namespace damc
