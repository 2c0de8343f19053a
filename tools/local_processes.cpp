#include "tools/local_processes.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <thread>

#include "tensor/error.h"
#include "tensor/processes/launch.h"
#include "tensor/processors.h"
#include "tools/screen.h"
#include "tools/startup.h"
#include "tools/stop_signal.h"

namespace damc {
namespace {

using Clock = std::chrono::steady_clock;
// After a process has failed the others see it by themselves, unless they work alone just now.
constexpr std::chrono::seconds kUntilAsked{2}, kUntilKilled{12};

[[noreturn]] void become(const std::vector<std::string>& command) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execv(words[0], words.data());
  show_aside(fmt::format("damc: error: cannot start {}: {}\n", command[0], std::strerror(errno)));
  ::_exit(1);
}

/// What this process waits for: signals to pass on, but for those that its caller has chosen to ignore, and ends of others.
sigset_t awaited_signals() {
  std::signal(SIGCHLD, SIG_DFL);
  sigset_t awaited;
  sigemptyset(&awaited);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU, SIGCHLD}) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaddset(&awaited, signal);
  }
  return awaited;
}

/// The processes that this one has started, in their order.
class Children {
 public:
  Children() : awaited_(awaited_signals()) { ::sigprocmask(SIG_BLOCK, &awaited_, &before_); }

  /// Of its own group, so that a terminal's Ctrl-C reaches it once, by way of this process.
  void start(Part part, const Socket& listener, const std::string& job,
             const std::vector<std::string>& command) {
    set_launched_by_damc(part, listener.get(), port_of(listener), job);
    const pid_t parent = ::getpid(), child = ::fork();
    if (child < 0) throw Error(fmt::format("cannot start a process: {}", std::strerror(errno)));
    if (child == 0) {
      ::setpgid(0, 0);
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (::getppid() != parent) ::_exit(1);
      if (part.index == 0) ::fcntl(listener.get(), F_SETFD, 0);
      ::sigprocmask(SIG_SETMASK, &before_, nullptr);
      become(command);
    }
    running_.push_back(child);
  }

  /// Passes signals on until all have ended.
  int wait() {
    constexpr timespec kSecond{1, 0};
    while (std::ranges::any_of(running_, [](pid_t pid) { return pid > 0; })) {
      const int signal = ::sigtimedwait(&awaited_, nullptr, &kSecond);
      if (signal > 0 && signal != SIGCHLD) {
        sigaddset(&passed_, signal);
        send(signal);
      }
      int status = 0;
      for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) note(pid, status);
      if (failed_) end_others();
    }
    if (!killed_.empty()) throw Error(killed_);
    return code_;
  }

 private:
  void send(int signal) const {
    for (const pid_t pid : running_) {
      if (pid > 0) ::kill(pid, signal);
    }
  }

  /// One has ended. Exit code 1 is a failure of its own, others all agree in.
  void note(pid_t pid, int status) {
    const auto at = std::ranges::find(running_, pid);
    if (at == running_.end()) return;
    *at = 0;
    const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
              code = signal ? 128 + signal : WEXITSTATUS(status);
    if (code_ == 0) code_ = code;
    if (!failed_ && (signal || code == 1)) failed_ = Clock::now();
    if (!signal || sigismember(&passed_, signal) || !killed_.empty()) return;
    killed_ = fmt::format(
        "process {} of {} (pid {}) was ended by {}, and the others with it\nhint: damc train --resume RUN "
        "goes "
        "on from the last state",
        at - running_.begin(), running_.size(), pid, signal_name(signal));
  }

  /// Asks once, which tells what works alone to stop, and kills in the end.
  void end_others() {
    const auto time = Clock::now() - *failed_;
    const int signal = time > kUntilKilled ? SIGKILL : time > kUntilAsked ? SIGTERM : 0;
    if (signal == 0 || sigismember(&passed_, signal)) return;
    sigaddset(&passed_, signal);
    send(signal);
  }

  sigset_t awaited_, before_{}, passed_{};
  std::vector<pid_t> running_;  // 0: it has ended
  int code_ = 0;                // of the first that has one
  std::string killed_;          // what is said of the first that a signal has ended
  std::optional<Clock::time_point> failed_;
};

void check_alone(std::int64_t count) {
  const Launch launch = launched();
  if (launch.part.count == 1) return;
  user_error(fmt::format("{} processes of one that {} has started", count, launch.by),
             fmt::format("leave out the option, or {}", launch.by));
}

}  // namespace

int run_processes(std::int64_t count, const std::vector<std::string>& arguments) {
  std::vector<std::string> command{std::filesystem::read_symlink("/proc/self/exe").string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::fflush(nullptr);
  const OnEveryProcessor for_those_started;
  if (count == 1) become(command);
  check_alone(count);
  share_processors();
  const auto threads = std::max<std::int64_t>(1, std::thread::hardware_concurrency() / count);
  ::setenv("OMP_NUM_THREADS", std::to_string(threads).c_str(), 0);
  const Socket listener = listen_at("127.0.0.1", 0);
  const std::string job = random_key();
  Children children;
  for (std::int64_t p = 0; p < count; ++p) children.start({p, count}, listener, job, command);
  return children.wait();
}

}  // namespace damc
