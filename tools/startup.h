/// What must be settled before the shared libraries are initialised, where main() would be too late: OpenMP reads its
/// environment then, OpenBLAS takes its first memory, without end where there is none, and UCX, which Open MPI may bring,
/// takes SIGHUP for itself.
#pragma once

namespace damc {

/// Ignores the signals that the caller has chosen to ignore, as nohup does, whatever a library has made of them.
void ignore_as_before();

/// Takes back in this process's environment what the start has set there for a process that has all processors to itself,
/// so that those it starts, which share them, decide for themselves.
void share_processors();

}  // namespace damc
