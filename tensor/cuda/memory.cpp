#include "tensor/cuda/memory.h"

#include <algorithm>

#include "tensor/cuda/check.h"
#include "tensor/error.h"

namespace damc {
namespace {

/// While this lives, the calling thread may do what does not belong to a stream though it records one: allocate, ask a
/// pool for its sizes. Both are refused otherwise, and spoil the recording.
class OutsideCapture {
 public:
  OutsideCapture() { check_cuda(cudaThreadExchangeStreamCaptureMode(&mode_), "capture mode"); }
  ~OutsideCapture() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  OutsideCapture(const OutsideCapture&) = delete;
  OutsideCapture& operator=(const OutsideCapture&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;  // the other one, to go back to
};

}  // namespace

CudaMemory::CudaMemory(int index) : index_(index) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    user_error(fmt::format("no device cuda:{}: {}", index, cudaGetErrorString(status)), "use --device cpu");
  }
  if (index >= count) {
    user_error(fmt::format("no device cuda:{}: this machine has {} CUDA devices", index, count),
               "'damc info' lists them");
  }
  use_device();
  check_cuda(cudaDeviceGetAttribute(&processors_, cudaDevAttrMultiProcessorCount, index),
             "multiprocessor count");
  check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  check_cuda(cudaDeviceGetDefaultMemPool(&pool_, index), "default memory pool");
  std::uint64_t keep_all = ~std::uint64_t{0};
  check_cuda(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep_all),
             "memory pool threshold");
}

void CudaMemory::use_device() const { check_cuda(cudaSetDevice(index_), "cudaSetDevice"); }

CudaMemory::~CudaMemory() { cudaStreamDestroy(stream_); }

void* CudaMemory::allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  use_device();
  void* block = nullptr;
  if (arenas_.in_use()) {
    block = arenas_.allocate(bytes);
  } else {
    give_back_late();
    const cudaError_t status = cudaMallocAsync(&block, bytes, stream_);
    if (status == cudaErrorMemoryAllocation) out_of_memory(bytes);
    check_cuda(status, "cudaMallocAsync");
  }
  in_use_ += bytes;
  most_in_use_ = std::max(most_in_use_, in_use_);
  return block;
}

// Frees are not checked: destructors come here, even after the runtime has shut down.

void CudaMemory::release(void* block, std::size_t bytes) {
  if (!block) return;
  in_use_ -= bytes;
  if (arenas_.release(block)) return;
  if (arenas_.in_use()) {
    late_.push_back(block);  // the stream may be capturing, and would take this for a part of the step
  } else {
    cudaSetDevice(index_);  // that of the thread may be another
    cudaFreeAsync(block, stream_);
  }
}

void CudaMemory::give_back_late() {
  for (void* block : late_) cudaFreeAsync(block, stream_);
  late_.clear();
}

std::size_t CudaMemory::peak_of(const std::function<void()>& work) {
  const std::size_t before = most_in_use_ = in_use_;
  work();
  return most_in_use_ - before;
}

void CudaMemory::trim() {
  give_back_late();
  synchronize();
  most_reserved_ = bytes_reserved();
  check_cuda(cudaMemPoolTrimTo(pool_, 0), "cudaMemPoolTrimTo");
  std::uint64_t start_anew = 0;
  check_cuda(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReservedMemHigh, &start_anew),
             "memory pool's high mark");
}

std::shared_ptr<Arena> CudaMemory::arena_of_steps() {
  const auto obtain = [this](std::size_t bytes) {
    const OutsideCapture outside;
    void* block = nullptr;
    const cudaError_t status = cudaMalloc(&block, bytes);
    if (status == cudaErrorMemoryAllocation) out_of_memory(bytes);
    check_cuda(status, "cudaMalloc");
    arena_bytes_ += bytes;
    most_reserved_ = bytes_reserved();
    return block;
  };
  const auto dispose = [this](void* block, std::size_t bytes) {
    cudaFree(block);  // waits for the kernels that use it
    arena_bytes_ -= bytes;
  };
  return arenas_.of_steps({obtain, dispose});
}

void CudaMemory::copy(void* to, const void* from, std::size_t bytes, CopyKind kind) {
  if (bytes == 0) return;
  use_device();
  const bool up = kind == CopyKind::host_to_device;
  check_cuda(cudaMemcpyAsync(to, from, bytes, up ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost, stream_),
             fmt::format("copy of {} bytes {} cuda:{}", bytes, up ? "to" : "from", index_));
  synchronize();
}

void CudaMemory::synchronize() { check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

std::uint64_t CudaMemory::pool_bytes(cudaMemPoolAttr which) const {
  std::uint64_t bytes = 0;
  check_cuda(cudaMemPoolGetAttribute(pool_, which, &bytes), "memory pool size");
  return bytes;
}

std::size_t CudaMemory::bytes_reserved() const {
  const std::uint64_t pool =
      std::max(pool_bytes(cudaMemPoolAttrReservedMemHigh), pool_bytes(cudaMemPoolAttrReservedMemCurrent));
  return std::max<std::size_t>(most_reserved_, pool + arena_bytes_);
}

/// What the pool keeps but nobody uses is free for this program, though not for others; what an arena keeps is not.
void CudaMemory::out_of_memory(std::size_t asked) const {
  cudaGetLastError();  // the failure is reported here and must not show up again at the next launch
  std::size_t free = 0, total = 0;
  check_cuda(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  free += pool_bytes(cudaMemPoolAttrReservedMemCurrent) - pool_bytes(cudaMemPoolAttrUsedMemCurrent);
  const std::size_t in_use = pool_bytes(cudaMemPoolAttrUsedMemCurrent) + arena_bytes_;
  throw OutOfMemory(fmt::format("cuda:{}", index_), {asked, free, total, in_use});
}

}  // namespace damc
