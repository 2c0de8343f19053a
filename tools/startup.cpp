#include "tools/startup.h"

#include <sched.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
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

/// What OpenMP is told. Threads that wait for others spin for a while, then sleep. One that spins on the processor of the one
/// that it waits for keeps both from working, so they wait briefly. Where each has a processor of its own and stays there
/// that cannot happen, and waiting for longer spares sleeping and waking.
#ifdef __clang__
constexpr const char* kWaiting = "KMP_BLOCKTIME";
constexpr std::array kShared{"KMP_BLOCKTIME=1"};
constexpr auto kAlone = kShared;
#else
constexpr const char* kWaiting = "GOMP_SPINCOUNT";
constexpr std::array kShared{"GOMP_SPINCOUNT=1000"};
constexpr std::array kAlone{"GOMP_SPINCOUNT=20000", "OMP_PROC_BIND=true"};
#endif

/// Processors that this process may use.
int processors() {
  cpu_set_t mine;
  return sched_getaffinity(0, sizeof mine, &mine) == 0 ? CPU_COUNT(&mine) : 1;
}

/// OMP_NUM_THREADS, else a thread for each processor.
int threads(char** environment) {
  const char* asked = value_of(environment, "OMP_NUM_THREADS");
  const int count = asked ? std::atoi(asked) : 0;
  return count > 0 ? count : processors();
}

/// Whether there will be a thread for every processor of this process, and nobody has said where they are to be.
bool has_all_processors(char** environment) {
  for (const char* name : {"OMP_PROC_BIND", "OMP_PLACES", "OMP_THREAD_LIMIT", "GOMP_CPU_AFFINITY"}) {
    if (value_of(environment, name)) return false;
  }
  const int count = processors(), quota = damc::cpu_quota();
  return count > 1 && threads(environment) == count && (quota == 0 || quota >= count);
}

/// Unless the user has said how threads wait, this starts the program over, as the same process, with what OpenMP is to
/// be told. Returns when it is told, or when that is not possible.
void tell_openmp(char** argv, char** environment) {
  if (value_of(environment, "OMP_WAIT_POLICY") || value_of(environment, kWaiting)) return;
  // Without a base of its own the dynamic linker was started by hand, and it is what would be started over.
  if (getauxval(AT_BASE) == 0) return;
  std::vector<const char*> complete;
  if (has_all_processors(environment))
    complete.assign(kAlone.begin(), kAlone.end());
  else
    complete.assign(kShared.begin(), kShared.end());
  for (char** line = environment; *line; ++line) complete.push_back(*line);
  complete.push_back(nullptr);
  const auto environ_of = const_cast<char* const*>(complete.data());
  execve(reinterpret_cast<const char*>(getauxval(AT_EXECFN)), argv, environ_of);
  execve("/proc/self/exe", argv, environ_of);
}

void check_memory(char** environment) {
  constexpr std::size_t spare = std::size_t{8} << 20;              // for the other libraries
  const int count = std::min(threads(environment), processors());  // that OpenBLAS will take memory for
  if (damc::can_map(count, damc::kBlasBuffer + spare)) return;
  dprintf(STDERR_FILENO,
          "damc: error: out of memory: %d threads need %zu MiB of address space to start\n"
          "hint: give more (ulimit -v), or fewer threads (OMP_NUM_THREADS)\n",
          count, (static_cast<std::size_t>(count) * damc::kBlasBuffer) >> 20);
  _exit(1);
}

sigset_t ignored;  // by the caller, before any library was initialised

void remember_ignored() {
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction now {};
    if (sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN) sigaddset(&ignored, signal);
  }
}

void before_libraries(int, char** argv, char** environment) {
  tell_openmp(argv, environment);
  remember_ignored();
  check_memory(environment);
}

}  // namespace

[[gnu::section(".preinit_array"), gnu::used]] static void (*const preinit)(int, char**,
                                                                           char**) = before_libraries;

void damc::ignore_as_before() {
  for (int signal = 1; signal < NSIG; ++signal) {
    if (sigismember(&ignored, signal) == 1) std::signal(signal, SIG_IGN);
  }
}

void damc::share_processors() {
  const auto is_set = [](std::string_view line) {
    const char* const value = std::getenv(std::string(line.substr(0, line.find('='))).c_str());
    return value && line.substr(line.find('=') + 1) == value;
  };
  if (!std::ranges::all_of(kAlone, is_set)) return;
  for (const std::string_view line : kAlone) ::unsetenv(std::string(line.substr(0, line.find('='))).c_str());
}
