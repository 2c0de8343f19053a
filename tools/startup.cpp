/// What must be settled before the shared libraries are initialised, where main() would be too late: OpenMP reads its
/// environment then, and OpenBLAS takes its first memory, without end where there is none.
#include <sched.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "tensor/cpu/threads.h"

namespace {

/// The value of the entry "NAME=value" of an environment; null without one.
const char* value_of(char** environment, std::string_view name) {
  for (; *environment; ++environment) {
    const std::string_view line = *environment;
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == '=')
      return *environment + name.size() + 1;
  }
  return nullptr;
}

/// Threads that wait for others spin for a while; beside other work they take the processor from those that they wait
/// for. Unless the user has set how long, this starts the program over, as the same process, with a short while. Returns
/// when it is set, or when that is not possible.
void spin_briefly(char** argv, char** environment) {
#ifdef __clang__
  constexpr const char* name = "KMP_BLOCKTIME";
  static char setting[] = "KMP_BLOCKTIME=1";
#else
  constexpr const char* name = "GOMP_SPINCOUNT";
  static char setting[] = "GOMP_SPINCOUNT=1000";
#endif
  if (value_of(environment, "OMP_WAIT_POLICY") || value_of(environment, name)) return;
  // Without a base of its own the dynamic linker was started by hand, and it is what would be started over.
  if (getauxval(AT_BASE) == 0) return;
  std::vector<char*> complete{setting};
  for (char** line = environment; *line; ++line) complete.push_back(*line);
  complete.push_back(nullptr);
  execve(reinterpret_cast<const char*>(getauxval(AT_EXECFN)), argv, complete.data());
  execve("/proc/self/exe", argv, complete.data());
}

/// Threads that OpenBLAS will take memory for: OMP_NUM_THREADS, at most the processors of this process.
int blas_threads(char** environment) {
  cpu_set_t mine;
  const int processors = sched_getaffinity(0, sizeof mine, &mine) == 0 ? CPU_COUNT(&mine) : 1;
  const char* asked = value_of(environment, "OMP_NUM_THREADS");
  const int count = asked ? std::atoi(asked) : 0;
  return count > 0 && count < processors ? count : processors;
}

void check_memory(char** environment) {
  constexpr std::size_t spare = std::size_t{8} << 20;  // for the other libraries
  const int threads = blas_threads(environment);
  if (damc::can_map(threads, damc::kBlasBuffer + spare)) return;
  dprintf(STDERR_FILENO,
          "damc: error: out of memory: %d threads need %zu MiB of address space to start\n"
          "hint: give more (ulimit -v), or fewer threads (OMP_NUM_THREADS)\n",
          threads, (static_cast<std::size_t>(threads) * damc::kBlasBuffer) >> 20);
  _exit(1);
}

void before_libraries(int, char** argv, char** environment) {
  spin_briefly(argv, environment);
  check_memory(environment);
}

}  // namespace

[[gnu::section(".preinit_array"), gnu::used]] static void (*const preinit)(int, char**,
                                                                           char**) = before_libraries;
