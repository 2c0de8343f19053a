/// On which processors a thread may run.
#pragma once

namespace damc {

/// Lets the calling thread run on every processor that this program may use. Where OpenMP binds its threads to a processor
/// each (OMP_PROC_BIND), the program's first thread is one of them, and threads and processes that it starts inherit that one.
void use_every_processor();

}  // namespace damc
