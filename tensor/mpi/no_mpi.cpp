/// Stands in for MPI in a build without it: an honest error.

#include "tensor/error.h"
#include "tensor/mpi/processes.h"

namespace damc {

std::unique_ptr<Communicator> join_processes() {
  const Part part = launched().part;
  if (part.count == 1) return std::make_unique<Alone>();
  user_error(fmt::format("{} processes were started, but this build has no MPI: each would work by itself",
                         part.count),
             "install libopenmpi-dev, openmpi-bin and build again, or start one process");
}

}  // namespace damc
