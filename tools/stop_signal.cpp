#include "tools/stop_signal.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

namespace damc {
namespace {

constexpr int kCaught[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU, SIGPIPE};
constexpr int kKillingPress = 3;

volatile std::sig_atomic_t first_signal = 0, presses = 0, silent = 0, unread = 0;

constexpr std::string_view kStopping = "\nstopping after this iteration; what is done is saved first\n";
constexpr std::string_view kPressed =
    "\nstopping after this iteration; what is done is saved first (a third Ctrl-C kills, and loses what is "
    "not "
    "saved)\n";

/// Does only what a handler may: sets flags, writes, restores errno.
void on_signal(int signal) {
  const int reason = errno;
  if (!first_signal) first_signal = signal;
  if (signal == SIGINT) presses = presses + 1;
  if (presses == kKillingPress) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);  // delivered when this returns
  } else if (signal != SIGPIPE && !silent) {
    const std::string_view text = signal == SIGINT ? kPressed : kStopping;
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
  }
  errno = reason;
}

}  // namespace

void catch_stop_signals(bool acknowledge) {
  silent = acknowledge ? 0 : 1;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (const int signal : kCaught) sigaddset(&action.sa_mask, signal);
  for (const int signal : kCaught) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
  }
}

void outlive_reader() {
  struct sigaction action {
  }, before{};
  action.sa_handler = [](int) { unread = 1; };
  sigaction(SIGPIPE, nullptr, &before);
  if (before.sa_handler != SIG_IGN) sigaction(SIGPIPE, &action, nullptr);
}

bool lost_reader() {
  if (unread) std::signal(SIGPIPE, SIG_DFL);
  return unread;
}

int stop_signal() { return first_signal; }

std::string signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  return name ? std::string("SIG") + name : "signal " + std::to_string(signal);
}

}  // namespace damc
