/// What nvcc makes of kernels and their launches, for a host compiler: included before anything else where
/// tensor/cuda/cuda_backend.cu is compiled for the stand-in GPU. A launch `kernel<<<blocks, threads, bytes, stream>>>(..)`
/// comes here as `stand_in::Launch(kernel, blocks, threads, bytes, stream)(..)` (host_executor.cmake).
///
/// The threads of a block run one after the other, each up to its next barrier.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <functional>

namespace stand_in {

/// CUDA's threadIdx, blockIdx, blockDim and gridDim of the thread that runs.
struct Place {
  uint3 thread, block;
  dim3 threads, blocks;
};
extern Place place;

/// Whether the grid is one; says so if not.
bool may_launch(const char* call, const dim3& blocks, const dim3& threads, cudaStream_t stream);
/// Queues what a kernel does.
void enqueue(cudaStream_t stream, std::function<void()> work);

/// Runs the first thread of a block, and if that gets to a barrier all of them. False: there was none, and the others
/// have not run yet.
bool run_to_barriers(void (*kernel)(const void*), const void* self);
/// __syncthreads of the thread that runs.
void barrier();

/// thread() for every thread of a grid.
template <class Thread>
void run_grid(const dim3& blocks, const dim3& threads, const Thread& thread) {
  place = {{0, 0, 0}, {0, 0, 0}, threads, blocks};
  const auto run = [](const void* self) { (*static_cast<const Thread*>(self))(); };
  for (place.block.z = 0; place.block.z < blocks.z; ++place.block.z)
    for (place.block.y = 0; place.block.y < blocks.y; ++place.block.y)
      for (place.block.x = 0; place.block.x < blocks.x; ++place.block.x) {
        if (run_to_barriers(run, &thread)) continue;
        for (unsigned z = 0; z < threads.z; ++z)
          for (unsigned y = 0; y < threads.y; ++y)
            for (unsigned x = z + y == 0; x < threads.x; ++x) {
              place.thread = {x, y, z};
              thread();
            }
      }
}

/// A launch with the arguments that it is called with; they are copied, as a launch does.
template <class Kernel>
class Launch {
 public:
  Launch(Kernel kernel, dim3 blocks, dim3 threads, std::size_t, cudaStream_t stream)
      : kernel_(kernel), blocks_(blocks), threads_(threads), stream_(stream) {}

  template <class... Arguments>
  void operator()(const Arguments&... arguments) const {
    if (!may_launch("a kernel's launch", blocks_, threads_, stream_)) return;
    enqueue(stream_, [=, *this] { run_grid(blocks_, threads_, [&] { kernel_(arguments...); }); });
  }

 private:
  Kernel kernel_;
  dim3 blocks_, threads_;
  cudaStream_t stream_;
};

}  // namespace stand_in

#undef __shared__
#define __shared__ static
#define __syncthreads stand_in::barrier
#define threadIdx stand_in::place.thread
#define blockIdx stand_in::place.block
#define blockDim stand_in::place.threads
#define gridDim stand_in::place.blocks
