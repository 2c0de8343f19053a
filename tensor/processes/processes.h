/// Processes that a launcher has started together.
#pragma once

#include <memory>

#include "tensor/communicator.h"
#include "tensor/processes/sockets.h"

namespace damc {

/// Joins the processes that were launched with this one (launch.h), by MPI where mpirun or srun has told it of them, else
/// by TCP; alone when there are none. Throws UserError where they cannot meet: each would work by itself.
std::unique_ptr<Communicator> join_processes(const OnLoss& on_loss = {});

/// Which this process is of those that run on its host, in the order of all. Every process calls it.
Part part_on_host(const Communicator& all);

}  // namespace damc
