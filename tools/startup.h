/// What must be settled before the shared libraries are initialised, where main() would be too late: OpenMP reads its
/// environment then, and OpenBLAS takes its first memory, without end where there is none.
#pragma once

namespace damc {

/// Takes back in this process's environment what the start has set there for a process that has all processors to itself,
/// so that those it starts, which share them, decide for themselves.
void share_processors();

}  // namespace damc
