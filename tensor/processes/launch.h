/// What launchers tell a process by its environment.
#pragma once

#include <string>
#include <string_view>

#include "tensor/part.h"
#include "tensor/processes/rendezvous.h"

namespace damc {

/// How this process was started.
struct Launch {
  Part part;       ///< which it is of how many
  std::string by;  ///< "mpirun", "srun", "torchrun", "damc" (train --processes); empty: by itself
};
/// By the environment; where several launchers have been at work, by the innermost.
Launch launched();

/// Where the processes of a launch meet: at MASTER_ADDR and MASTER_PORT (torchrun's own server has that port, theirs is the
/// next), or under Slurm on the first node of the step at a port that the job's number gives. DAMC_PORT and DAMC_JOB say
/// otherwise, in all of them. Throws UserError where there is no such place.
Meeting meeting_of(const Launch& launch);

/// What `damc train --processes` gives each process that it starts: `listener` is of the first one alone.
void set_launched_by_damc(Part part, int listener, std::uint16_t port, const std::string& job);

/// "node03" of Slurm's "node[03-07,9],other"; empty where that names none.
std::string first_host(std::string_view nodes);

}  // namespace damc
