/// Processes that work together on this machine, started without the user's knowing of mpirun.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace damc {

/// Runs this program with other arguments: once in the place of this process, or `count` times under mpirun. Returns their
/// exit code when all have ended. A signal that ends a run after its iteration (stop_signal.h) reaches them as one; if
/// this process is killed, they are, too. Where the caller has not said how many threads a process has, they share the
/// processors. Throws UserError when there is no mpirun, or this process was itself started by one.
int run_processes(std::int64_t count, const std::vector<std::string>& arguments);

}  // namespace damc
