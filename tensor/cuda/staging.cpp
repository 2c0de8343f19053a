#include "tensor/cuda/staging.h"

#include "tensor/cuda/check.h"
#include "tensor/error.h"

namespace damc {

CudaStaging::CudaStaging(CudaMemory& memory, std::size_t bytes) : memory_(memory), bytes_(bytes) {
  memory_.use_device();
  check_cuda(cudaHostAlloc(&pinned_, bytes, cudaHostAllocDefault),
             fmt::format("cudaHostAlloc of {} bytes of pinned memory", bytes));
  check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  check_cuda(cudaEventCreateWithFlags(&sent_, cudaEventDisableTiming), "cudaEventCreate");
  check_cuda(cudaEventCreateWithFlags(&passed_, cudaEventDisableTiming), "cudaEventCreate");
  // The targets exist by now, and what used their memory before is queued.
  check_cuda(cudaEventRecord(passed_, memory_.stream()), "cudaEventRecord");
}

CudaStaging::~CudaStaging() {
  cudaSetDevice(memory_.index());
  cudaStreamSynchronize(stream_);
  cudaEventDestroy(sent_);
  cudaEventDestroy(passed_);
  cudaStreamDestroy(stream_);
  cudaFreeHost(pinned_);
}

void* CudaStaging::host() {
  check_cuda(cudaEventSynchronize(sent_), "copy from pinned memory");  // at once before the first send
  return pinned_;
}

void CudaStaging::send(void* to) {
  memory_.use_device();
  check_cuda(cudaStreamWaitEvent(stream_, passed_), "cudaStreamWaitEvent");
  check_cuda(cudaMemcpyAsync(to, pinned_, bytes_, cudaMemcpyHostToDevice, stream_),
             fmt::format("copy of {} bytes from pinned memory", bytes_));
  check_cuda(cudaEventRecord(sent_, stream_), "cudaEventRecord");
}

void CudaStaging::arrive() {
  memory_.use_device();
  check_cuda(cudaEventRecord(passed_, memory_.stream()), "cudaEventRecord");
  check_cuda(cudaStreamWaitEvent(memory_.stream(), sent_), "cudaStreamWaitEvent");
}

}  // namespace damc
