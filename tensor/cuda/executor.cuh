/// The GPU's loops; the counterpart of tensor/cpu/executor.h. Everything runs on one stream.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "tensor/cuda/check.h"
#include "tensor/cuda/launch.h"

namespace damc {

template <class Body>
__global__ void for_each_kernel(std::int64_t n, Body body) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step)
    body(i);
}

template <class Body>
__global__ void for_rows_kernel(std::int64_t rows, std::int64_t cols, Body body) {
  const std::int64_t total = rows * cols, step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < total;
       i += step) {
    const std::int64_t r = i / cols;
    body.row(r)(i - r * cols);
  }
}

/// Partial sums [outer, chunks, inner]. Blocks: x = inner block, y = chunk, z strides over outer.
template <class T, class Body>
__global__ void reduce_kernel(std::int64_t outer, std::int64_t reduced, std::int64_t inner,
                              std::int64_t chunk, Body body, T* partial) {
  __shared__ double sums[256];
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * chunk;
  const std::int64_t last = first + chunk < reduced ? first + chunk : reduced;
  const int lane = static_cast<int>(threadIdx.x), lanes = static_cast<int>(blockDim.x);
  const int thread = static_cast<int>(threadIdx.y) * lanes + lane;
  for (std::int64_t o = blockIdx.z; o < outer; o += gridDim.z) {
    T sum = T(0);
    std::int64_t i = 0;
    if (inner == 1) {
      for (std::int64_t r = first + lane; r < last; r += lanes) sum += body.load(o, r, 0);
    } else {
      i = static_cast<std::int64_t>(blockIdx.x) * lanes + lane;
      if (i < inner) {
        for (std::int64_t r = first + threadIdx.y; r < last; r += blockDim.y) sum += body.load(o, r, i);
      }
    }
    sums[thread] = static_cast<double>(sum);
    // Halves of the block are added up; with inner > 1 only over the rows, each lane for itself.
    const int least = inner == 1 ? 1 : lanes;
    for (int half = lanes * static_cast<int>(blockDim.y) / 2; half >= least; half /= 2) {
      __syncthreads();
      if (thread < half) sums[thread] += sums[thread + half];
    }
    if (thread < least && i < inner)
      partial[(o * gridDim.y + blockIdx.y) * inner + i] = static_cast<T>(sums[thread]);
    __syncthreads();
  }
}

/// out [outer, inner] from partial sums [outer, chunks, inner].
template <class T>
struct CombineBody {
  const T* partial;
  T* out;
  std::int64_t chunks, inner;
  __device__ void operator()(std::int64_t j) const {
    const std::int64_t o = j / inner, i = j - o * inner;
    double sum = 0.0;
    for (std::int64_t k = 0; k < chunks; ++k)
      sum += static_cast<double>(partial[(o * chunks + k) * inner + i]);
    out[j] = static_cast<T>(sum);
  }
};

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
    T* partial = out;
    if (launch.chunks > 1) {
      const std::size_t bytes = static_cast<std::size_t>(outer * launch.chunks * inner) * sizeof(T);
      check_cuda(cudaMallocAsync(reinterpret_cast<void**>(&partial), bytes, stream_),
                 "partial sums of a reduction");
    }
    constexpr std::int64_t most_z = 65535;  // of gridDim.z
    const dim3 blocks(static_cast<unsigned>(launch.inner_blocks), static_cast<unsigned>(launch.chunks),
                      static_cast<unsigned>(outer < most_z ? outer : most_z));
    reduce_kernel<T><<<blocks, dim3(launch.lanes, launch.rows), 0, stream_>>>(outer, reduced, inner,
                                                                              launch.chunk, body, partial);
    check_cuda(cudaGetLastError(), "reduction kernel");
    if (launch.chunks > 1) {
      for_each(outer * inner, CombineBody<T>{partial, out, launch.chunks, inner});
      check_cuda(cudaFreeAsync(partial, stream_), "partial sums of a reduction");
    }
  }

 private:
  cudaStream_t stream_ = nullptr;
  int processors_ = 1;
};

}  // namespace damc
