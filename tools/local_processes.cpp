#include "tools/local_processes.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "tensor/error.h"
#include "tensor/mpi/processes.h"
#include "tools/screen.h"
#include "tools/stop_signal.h"

namespace damc {
namespace {

constexpr std::string_view kMpirun = DAMC_MPIRUN;  // of the MPI that this build has; empty: none
constexpr int kStop = SIGUSR1;                     // what mpirun passes on, in the place of ending all

volatile pid_t started = 0;
volatile std::sig_atomic_t first_signal = 0, presses = 0;

/// A third Ctrl-C ends all at once.
void pass_on(int signal) {
  const int reason = errno;
  if (!first_signal) first_signal = signal;
  if (signal == SIGINT) presses = presses + 1;
  ::kill(started, presses >= 3 ? SIGTERM : kStop);
  errno = reason;
}

void check_mpirun(std::int64_t count) {
  const Launch launch = launched();
  if (launch.by == "mpirun" || launch.part.count > 1) {
    user_error(fmt::format("{} processes of one that {} has started", count, launch.by),
               fmt::format("leave out the option, or {}", launch.by));
  }
  if (kMpirun.empty()) {
    user_error(fmt::format("{} processes: this build has no MPI", count),
               "install libopenmpi-dev, openmpi-bin (tools/setup.sh does) and build again");
  }
  if (::access(kMpirun.data(), X_OK) != 0) {
    user_error(fmt::format("{} processes: cannot start {}: {}", count, kMpirun, std::strerror(errno)),
               "install openmpi-bin (tools/setup.sh does)");
  }
}

/// How Open MPI starts processes on a machine of any size, for whoever runs it, in a container or not; others do not read
/// these. What the caller has set stays.
void set_environment(std::int64_t count) {
  const auto threads = std::max<std::int64_t>(1, std::thread::hardware_concurrency() / count);
  const std::pair<const char*, std::string> values[] = {
      {"OMP_NUM_THREADS", std::to_string(threads)},
      {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
      {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
      {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
      {"OMPI_MCA_hwloc_base_binding_policy", "none"},
      {"OMPI_MCA_mpi_yield_when_idle", "1"},
      {"OMPI_MCA_btl_vader_single_copy_mechanism", "none"},
      {"OMPI_MCA_orte_execute_quiet", "1"}};  // an error is one line
  for (const auto& [name, value] : values) ::setenv(name, value.c_str(), 0);
  // mpirun gives processes a terminal, whatever this one has.
  if (!::isatty(STDOUT_FILENO)) ::setenv("TERM", "dumb", 1);
}

[[noreturn]] void become(const std::vector<std::string>& command) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execv(words[0], words.data());
  show_aside(fmt::format("damc: error: cannot start {}: {}\n", command[0], std::strerror(errno)));
  ::_exit(1);
}

/// Of its own group, so that a terminal's Ctrl-C does not reach it, which would leave no time for a state.
void start(const std::vector<std::string>& command) {
  struct sigaction action {
  }, before{};
  action.sa_handler = pass_on;
  action.sa_flags = SA_RESTART;
  sigset_t stops, previous;
  sigemptyset(&stops);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&stops, signal);
  action.sa_mask = stops;
  ::sigprocmask(SIG_BLOCK, &stops, &previous);  // until there is one to pass them on to
  const pid_t parent = ::getpid(), child = ::fork();
  if (child < 0) throw Error(fmt::format("cannot start a process: {}", std::strerror(errno)));
  if (child == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    ::sigprocmask(SIG_SETMASK, &previous, nullptr);
    become(command);
  }
  started = child;
  for (int signal = 1; signal < NSIG; ++signal) {
    if (sigismember(&stops, signal) != 1) continue;
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
  }
  ::sigprocmask(SIG_SETMASK, &previous, nullptr);
}

/// The exit code of what was started.
int ended() {
  int status = 0;
  while (::waitpid(started, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

int run_processes(std::int64_t count, const std::vector<std::string>& arguments) {
  std::vector<std::string> command{std::filesystem::read_symlink("/proc/self/exe").string()};
  if (count > 1) {
    check_mpirun(count);
    command.insert(command.begin(), {std::string(kMpirun), "-n", std::to_string(count)});
  }
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::fflush(nullptr);
  if (count == 1) become(command);
  set_environment(count);
  start(command);
  const int code = ended();
  if (code <= 128) return code;
  if (first_signal) return 128 + first_signal;
  throw Error(
      fmt::format("a process was ended by {}, and the others with it\nhint: damc train --resume RUN goes on "
                  "from the last state",
                  signal_name(code - 128)));
}

}  // namespace damc
