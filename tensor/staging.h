/// Memory on the host from which a device is filled while it computes.
#pragma once

#include <cstddef>
#include <memory>

namespace damc {

class Backend;

/// Made by Backend::make_staging. A copy may run beside all work that was queued since the last arrive(), so its
/// target must be memory that only earlier work used: two targets in turn, allocated before the staging and freed
/// after it.
class Staging {
 public:
  virtual ~Staging() = default;
  /// The host's side, to be written from start to end; waits until the last send has read it.
  virtual void* host() = 0;
  /// Queues a copy of the host's side to device memory.
  virtual void send(void* to) = 0;
  /// Work queued from here on comes after the last send.
  virtual void arrive() = 0;
};

/// Staging for a backend without copies that run beside its work: every send is done when it returns.
std::unique_ptr<Staging> make_synchronous_staging(Backend& backend, std::size_t bytes);

}  // namespace damc
