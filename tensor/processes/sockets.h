/// Processes that reach each other by TCP.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tensor/communicator.h"
#include "tensor/error.h"
#include "tensor/processes/rendezvous.h"

namespace damc {

/// Another process has ended in the midst of the work.
struct ProcessGone : Error {
  ProcessGone(const std::string& message, std::int64_t number, bool has_told)
      : Error(message), process(number), told(has_told) {}

  std::int64_t process;
  bool told;  ///< whether it has said itself why
};

/// What to do where another has ended and this process does not meet with it, as it works alone or waits for a GPU: called
/// in a thread of its own, some seconds later.
using OnLoss = std::function<void(const ProcessGone&)>;

/// Meets the others, and joins them. Throws UserError as meet() does. Where one of them ends in the midst of a call, that
/// throws ProcessGone.
std::unique_ptr<Communicator> join_by_sockets(const Meeting& meeting, const OnLoss& on_loss = {});

}  // namespace damc
