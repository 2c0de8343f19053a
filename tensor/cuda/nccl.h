/// Processes with a GPU each. A build without NCCL has tensor/cuda/no_nccl.cpp in the place of nccl.cpp.
#pragma once

#include <memory>
#include <string>

#include "tensor/communicator.h"
#include "tensor/cuda/memory.h"

namespace damc {

/// Joins the processes of `host`, each with the device of its `memory`; both have to outlive it, as it has to the captured
/// steps that use it. Tensors go from device to device, in the order of the device's stream, also in a captured step; texts
/// and numbers go by `host`. Sums have the same bits in all processes, in an order that NCCL chooses. max() throws Error
/// when NCCL has met with one since. Throws UserError in a build without NCCL. Every process calls it.
std::unique_ptr<Communicator> join_by_nccl(const Communicator& host, CudaMemory& memory);

/// "NCCL 2.28.3"; "no NCCL".
std::string nccl_summary();

}  // namespace damc
