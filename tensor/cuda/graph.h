/// A captured step as a CUDA graph.
#pragma once

#include <cuda_runtime.h>

#include "tensor/cuda/memory.h"

namespace damc {

class CudaGraph final : public Recording {
 public:
  /// `memory` has to outlive the recording.
  explicit CudaGraph(CudaMemory& memory) : memory_(memory) {}
  ~CudaGraph() override;

  void run(const Work& work) override;
  /// Throws Error when the work did something that a graph cannot hold.
  void record(const Work& work) override;
  void replay() override;

 private:
  CudaMemory& memory_;
  std::shared_ptr<Arena> arena_;  // from the first run on: a step that is not used keeps no memory
  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace damc
