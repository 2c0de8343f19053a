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
__global__ void for_rows_kernel(std::int64_t rows, std::int64_t cols, Body body) {
  for_rows_share(this_thread(), rows, cols, body);
}

template <class T, class Body>
__global__ void reduce_kernel(std::int64_t outer, std::int64_t reduced, std::int64_t inner,
                              std::int64_t chunk, Body body, T* partial) {
  __shared__ double sums[kMostSummands];
  const ReduceShare share(this_thread(), reduced, inner, chunk);
  for (std::int64_t o = blockIdx.z; o < outer; o += gridDim.z) {
    sums[share.slot] = static_cast<double>(share.sum<T>(body, o));
    for (int left = share.half; left >= share.least; left /= 2) {
      __syncthreads();
      share.fold(sums, left);
    }
    if (share.writes()) partial[share.target(o)] = static_cast<T>(sums[share.slot]);
    __syncthreads();  // the slots are free for the next output only now
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
    check_cuda(cudaGetLastError(), "elementwise kernel");
  }

  template <class Body>
  void for_rows(std::int64_t rows, std::int64_t cols, const Body& body) const {
    if (rows * cols == 0) return;
    const LoopLaunch launch = loop_launch(rows * cols, memory_->processors());
    memory_->use_device();
    for_rows_kernel<<<launch.blocks, launch.threads, 0, memory_->stream()>>>(rows, cols, body);
    check_cuda(cudaGetLastError(), "row kernel");
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
    for_each(outer * inner, CombineBody<T>{partial, out, chunks, inner});
  }

 private:
  template <class T, class Body>
  void sum_chunks(const ReduceLaunch& launch, std::int64_t outer, std::int64_t reduced, std::int64_t inner,
                  const Body& body, T* partial) const {
    memory_->use_device();
    reduce_kernel<T><<<size(launch.blocks), size(launch.threads), 0, memory_->stream()>>>(
        outer, reduced, inner, launch.chunk, body, partial);
    check_cuda(cudaGetLastError(), "reduction kernel");
  }

  static dim3 size(const GridIndex& index) { return {index.x, index.y, index.z}; }

  CudaMemory* memory_ = nullptr;
};

}  // namespace damc
