/// TCP connections that never block: each wait has an end.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace damc {

using Deadline = std::chrono::steady_clock::time_point;

/// A descriptor that is closed with its owner; -1: none.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket();

  int get() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

/// Whether `host` is this machine by a name that no other has, as 127.0.0.1.
bool is_loopback(const std::string& host);

/// Waits for connections at `port`, 0: any that is free; only those of this machine where `host` is a loopback. Throws
/// UserError where the port is taken.
Socket listen_at(const std::string& host, std::uint16_t port);
std::uint16_t port_of(const Socket& listener);

/// Tries to reach `host` until somebody listens there; throws Error with the last reason at `until`.
Socket connect_to(const std::string& host, std::uint16_t port, Deadline until);
/// The next that wants to connect; none if there is none now.
Socket accept_from(const Socket& listener);
/// In digits.
std::string address_of_peer(const Socket& connection);

/// Milliseconds until then, for poll().
int left(Deadline until);
/// All of `bytes`; false if the connection ends before, or the time.
bool send_all(const Socket& connection, std::span<const std::byte> bytes, Deadline until);
bool receive_all(const Socket& connection, std::span<std::byte> bytes, Deadline until);

}  // namespace damc
