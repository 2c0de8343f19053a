/// Stands in for NCCL in a build without it: an honest error.

#include "tensor/cuda/nccl.h"
#include "tensor/error.h"

namespace damc {

std::unique_ptr<Communicator> join_by_nccl(const Communicator& host, CudaMemory&) {
  user_error(
      fmt::format("{} processes with a GPU each: this build has no NCCL", host.part().count),
      "install libnccl-dev of NVIDIA, or nvidia-nccl-cu13 with pip, or set NCCL_ROOT, and build again");
}

std::string nccl_summary() { return "no NCCL"; }

}  // namespace damc
