/// Copies from pinned memory on a stream of their own, beside the work on the GPU's main stream.
#pragma once

#include "tensor/cuda/memory.h"

namespace damc {

class CudaStaging final : public Staging {
 public:
  CudaStaging(CudaMemory& memory, std::size_t bytes);
  /// Waits for the last copy.
  ~CudaStaging() override;
  CudaStaging(const CudaStaging&) = delete;
  CudaStaging& operator=(const CudaStaging&) = delete;

  void* host() override;
  void send(void* to) override;
  void arrive() override;

 private:
  CudaMemory& memory_;
  std::size_t bytes_;
  void* pinned_ = nullptr;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t sent_ = nullptr;    // on stream_: the last copy is done
  cudaEvent_t passed_ = nullptr;  // on the main stream: what was queued before the last arrive() is done
};

}  // namespace damc
