/// Processes that work together on this machine, started without another launcher.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace damc {

/// Runs this program with other arguments: once in the place of this process, or as `count` processes that join each other.
/// Returns the exit code of the first that has another than 0, when all have ended. Signals that end a run after its
/// iteration (stop_signal.h) are passed on to all; if this process is killed, they get SIGTERM. Where the caller has not
/// said how many threads a process has, they share the processors. Throws Error naming a process that a signal has ended,
/// and UserError when this process is itself one of several.
int run_processes(std::int64_t count, const std::vector<std::string>& arguments);

}  // namespace damc
