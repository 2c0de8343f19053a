#include "tensor/processors.h"

#include <omp.h>

#include <vector>

namespace damc {

OnEveryProcessor::OnEveryProcessor() {
  CPU_ZERO(&before_);
  sched_getaffinity(0, sizeof before_, &before_);
  cpu_set_t all = before_;
  for (int place = 0; place < omp_get_num_places(); ++place) {  // there are none where nothing is bound
    std::vector<int> processors(static_cast<std::size_t>(omp_get_place_num_procs(place)));
    omp_get_place_proc_ids(place, processors.data());
    for (const int processor : processors) {
      if (processor < CPU_SETSIZE) CPU_SET(static_cast<std::size_t>(processor), &all);
    }
  }
  sched_setaffinity(0, sizeof all, &all);
}

OnEveryProcessor::~OnEveryProcessor() { sched_setaffinity(0, sizeof before_, &before_); }

}  // namespace damc
