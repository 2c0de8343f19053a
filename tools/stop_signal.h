/// Signals that ask a training run to stop: it ends its iteration, saves a state and exits with 128 + the signal. An
/// inversion ends its batch and writes what is found.
#pragma once

#include <string>

namespace damc {

/// Catches SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU, and SIGPIPE, which says that nobody reads standard output any more;
/// those that the caller has chosen to ignore stay ignored. Each is acknowledged on stderr at once, and system calls go
/// on, above all those that write a state. Only a third Ctrl-C kills. Without `acknowledge` nothing is said.
void catch_stop_signals(bool acknowledge = true);

/// The first signal that came; 0: none so far.
int stop_signal();

/// Thrown inside work that a stop leaves out, as an evaluation.
struct Stopped {};

/// Lets a command that has results to keep go on when the reader of its output goes away: writing fails then, and that is
/// told at the end. A caller's SIG_IGN stays.
void outlive_reader();

/// Whether the reader has gone away since outlive_reader(); the signal that says so ends a program that raises it now.
bool lost_reader();

/// "SIGINT"
std::string signal_name(int signal);

}  // namespace damc
