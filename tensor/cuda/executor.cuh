/// The GPU's loops; the counterpart of tensor/cpu/executor.h. Everything runs on one stream.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "tensor/cuda/check.h"
#include "tensor/cuda/launch.h"
#include "tensor/cuda/loops.h"

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
  CudaExecutor(cudaStream_t stream, int processors) : stream_(stream), processors_(processors) {}

  template <class Body>
  void for_each(std::int64_t n, const Body& body) const {
    if (n == 0) return;
    const LoopLaunch launch = loop_launch(n, processors_);
    for_each_kernel<<<launch.blocks, launch.threads, 0, stream_>>>(n, body);
    check_cuda(cudaGetLastError(), "elementwise kernel");
  }

  template <class Body>
  void for_rows(std::int64_t rows, std::int64_t cols, const Body& body) const {
    if (rows * cols == 0) return;
    const LoopLaunch launch = loop_launch(rows * cols, processors_);
    for_rows_kernel<<<launch.blocks, launch.threads, 0, stream_>>>(rows, cols, body);
    check_cuda(cudaGetLastError(), "row kernel");
  }

  template <class T, class Body>
  void reduce(std::int64_t outer, std::int64_t reduced, std::int64_t inner, const Body& body, T* out) const {
    if (outer * inner == 0) return;
    const ReduceLaunch launch = reduce_launch(outer, reduced, inner);
    const std::int64_t chunks = launch.blocks.y;
    T* partial = out;
    if (chunks > 1) {
      const std::size_t bytes = static_cast<std::size_t>(outer * chunks * inner) * sizeof(T);
      check_cuda(cudaMallocAsync(reinterpret_cast<void**>(&partial), bytes, stream_),
                 "partial sums of a reduction");
    }
    reduce_kernel<T><<<size(launch.blocks), size(launch.threads), 0, stream_>>>(outer, reduced, inner,
                                                                                launch.chunk, body, partial);
    check_cuda(cudaGetLastError(), "reduction kernel");
    if (chunks > 1) {
      for_each(outer * inner, CombineBody<T>{partial, out, chunks, inner});
      check_cuda(cudaFreeAsync(partial, stream_), "partial sums of a reduction");
    }
  }

 private:
  static dim3 size(const GridIndex& index) { return {index.x, index.y, index.z}; }

  cudaStream_t stream_ = nullptr;
  int processors_ = 1;
};

}  // namespace damc
