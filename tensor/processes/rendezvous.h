/// How processes that a launcher has started on any machines find each other by TCP: all go to the first, which tells each
/// where the others wait. Whoever does not know the job, or says anything else than is due, is not let in. Nothing is
/// encrypted: it is for networks whose users trust each other, as NCCL and MPI are.
#pragma once

#include <vector>

#include "tensor/part.h"
#include "tensor/processes/socket.h"

namespace damc {

/// Where and how processes meet.
struct Meeting {
  Part part;
  std::string host;        ///< of the first process
  std::uint16_t port = 0;  ///< at which it waits
  std::string job;         ///< the same in all; those of another are refused
  int listener = -1;       ///< of the first: a socket that waits there already, which is its own now
  std::chrono::milliseconds patience{60'000};
};

/// Another process.
struct Peer {
  Socket connection;
  std::string host;
  std::int64_t pid = 0;
};

/// A connection to each other process, in their order; none to this one. Throws UserError where not all come in time,
/// naming who is missing, or this one is refused.
std::vector<Peer> meet(const Meeting& meeting);

/// Some text that nobody can guess.
std::string random_key();

}  // namespace damc
