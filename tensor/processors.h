/// On which processors a thread may run.
#pragma once

#include <sched.h>

namespace damc {

/// While this lives, the calling thread may run on every processor that this program may use, and so may the threads and
/// processes that it starts, which inherit that. Where OpenMP binds its threads to a processor each (OMP_PROC_BIND), the
/// program's first thread is one of them.
class OnEveryProcessor {
 public:
  OnEveryProcessor();
  ~OnEveryProcessor();
  OnEveryProcessor(const OnEveryProcessor&) = delete;
  OnEveryProcessor& operator=(const OnEveryProcessor&) = delete;

 private:
  cpu_set_t before_;
};

}  // namespace damc
