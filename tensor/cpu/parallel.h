/// Tasks over the OpenMP threads that may throw.
#pragma once

#include <cstdint>
#include <exception>

namespace damc {

/// task(0), .., task(count - 1), each on one thread, in any order. When one throws, the first exception is
/// thrown on after the last task; it must not leave the parallel region.
template <class F>
void parallel_tasks(std::int64_t count, const F& task) {
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic, 1)
  for (std::int64_t i = 0; i < count; ++i) {
    try {
      task(i);
    } catch (...) {
#pragma omp critical
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace damc
