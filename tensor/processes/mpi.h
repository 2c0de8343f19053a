/// Processes that MPI's launcher has started.
#pragma once

#include <memory>

#include "tensor/communicator.h"

namespace damc {

/// Joins `part.count` processes by MPI; null where this build has none, or MPI does not know of so many.
std::unique_ptr<Communicator> join_by_mpi(Part part);

}  // namespace damc
