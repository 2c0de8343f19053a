/// Starts of work that several processes do together: all succeed, or all end.
#pragma once

#include <functional>

#include "damc/config.h"
#include "tensor/communicator.h"
#include "tensor/error.h"
#include "tools/commands.h"

namespace damc {

/// Calls `start`() in every process. A UserError in any ends all: the first process throws it, with the number of the one
/// that met with it, the others Exit.
template <class F>
void together(const Communicator& among, const F& start) {
  std::string failure;
  try {
    start();
    if (among.part().count == 1) return;
  } catch (const UserError& error) {
    if (among.part().count == 1) throw;
    failure = error.what();
  }
  const std::vector<std::string> failures = among.gather(failure);
  for (std::size_t p = 0; p < failures.size(); ++p) {
    if (failures[p].empty()) continue;
    if (!among.leads()) throw Exit{2};
    throw UserError(p == 0 ? failures[p] : fmt::format("process {}: {}", p, failures[p]));
  }
}

/// Calls `work` with the processes that were started with this one, in each; returns the exit code, when all have come to
/// the end. Only the first speaks, and any that ends by an error of its own.
int run_together(const std::function<void(const Communicator&)>& work);

/// Throws UserError naming a process that has another version of the program, another value of a key, where that matters,
/// or another line of `state`, what there is to work on, than the first.
void check_alike(const Communicator& among, const Config& config, const std::string& state);

}  // namespace damc
