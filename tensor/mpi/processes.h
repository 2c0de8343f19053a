/// Processes that a launcher has started together.
#pragma once

#include <memory>

#include "tensor/communicator.h"

namespace damc {

/// Which of how many processes this is by what mpirun or srun has put into its environment; of one where they have not.
Part launched();

/// Joins the processes that were launched with this one, by MPI; alone when there are none. Throws UserError where this
/// build has no MPI, or MPI knows nothing of the others: each would work by itself.
std::unique_ptr<Communicator> join_processes();

}  // namespace damc
