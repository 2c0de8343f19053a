/// Processes that a launcher has started together.
#pragma once

#include <memory>
#include <string>

#include "tensor/communicator.h"

namespace damc {

/// How this process was started.
struct Launch {
  Part part;       ///< which it is of how many
  std::string by;  ///< "mpirun", "srun", "torchrun"; empty: by itself
};
/// By what a launcher has put into the environment.
Launch launched();

/// Joins the processes that were launched with this one, by MPI; alone when there are none. Throws UserError where this
/// build has no MPI, or MPI knows nothing of the others: each would work by itself.
std::unique_ptr<Communicator> join_processes();

/// Which this process is of those that run on its host, in the order of all. Every process calls it.
Part part_on_host(const Communicator& all);

}  // namespace damc
