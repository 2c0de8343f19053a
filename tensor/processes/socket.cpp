#include "tensor/processes/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>

#include "tensor/error.h"

namespace damc {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kPause{100};        // between two attempts
constexpr milliseconds kOneAttempt{5000};  // an address that does not answer

void set(const Socket& socket, int level, int option, int value) {
  ::setsockopt(socket.get(), level, option, &value, sizeof value);
}

/// Small messages leave at once; a machine that has lost its power or network is noticed after a minute of silence.
Socket prepared(Socket connection) {
  set(connection, IPPROTO_TCP, TCP_NODELAY, 1);
  set(connection, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(connection, IPPROTO_TCP, TCP_KEEPIDLE, 20);
  set(connection, IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(connection, IPPROTO_TCP, TCP_KEEPCNT, 3);
  return connection;
}

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

/// Of a name or digits; null: any of this machine. What is wrong goes into `reason`.
Addresses resolve(const char* host, std::uint16_t port, std::string& reason) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (host ? 0 : AI_PASSIVE);
  if (const int status = ::getaddrinfo(host, std::to_string(port).c_str(), &hints, &found)) {
    reason = ::gai_strerror(status);
    found = nullptr;
  }
  return {found, &::freeaddrinfo};
}

Socket open_socket(const addrinfo& address) {
  return Socket(::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

bool ready(const Socket& socket, short events, Deadline until) {
  pollfd waited{socket.get(), events, 0};
  int count = 0;
  do {
    count = ::poll(&waited, 1, left(until));
  } while (count < 0 && errno == EINTR);
  return count > 0;
}

/// TCP connects a socket to itself where nobody listens at a port of those that it chooses from.
bool is_of_itself(const Socket& connection) {
  sockaddr_storage own{}, other{};
  socklen_t size = sizeof own, other_size = sizeof other;
  ::getsockname(connection.get(), reinterpret_cast<sockaddr*>(&own), &size);
  ::getpeername(connection.get(), reinterpret_cast<sockaddr*>(&other), &other_size);
  return size == other_size && std::memcmp(&own, &other, size) == 0;
}

/// None, with a reason, where this address does not answer.
Socket try_to_connect(const addrinfo& address, Deadline until, std::string& reason) {
  Socket connection = open_socket(address);
  int error = 0;
  if (!connection) {
    error = errno;
  } else if (::connect(connection.get(), address.ai_addr, address.ai_addrlen) != 0) {
    error = errno;
    if (error == EINPROGRESS) {
      socklen_t size = sizeof error;
      if (!ready(connection, POLLOUT, std::min(until, std::chrono::steady_clock::now() + kOneAttempt)))
        error = ETIMEDOUT;
      else
        ::getsockopt(connection.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    }
  }
  if (error == 0 && is_of_itself(connection)) error = ECONNREFUSED;
  if (error == 0) return prepared(std::move(connection));
  reason = std::strerror(error);
  return {};
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Socket::~Socket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

Socket listen_at(const std::string& host, std::uint16_t port) {
  std::string reason;
  const Addresses addresses = resolve(is_loopback(host) ? host.c_str() : nullptr, port, reason);
  // One of IPv6 takes IPv4, too.
  for (const int family : {AF_INET6, AF_INET}) {
    for (const addrinfo* at = addresses.get(); at; at = at->ai_next) {
      if (at->ai_family != family) continue;
      Socket listener = open_socket(*at);
      if (!listener) continue;
      set(listener, SOL_SOCKET, SO_REUSEADDR, 1);
      if (family == AF_INET6) set(listener, IPPROTO_IPV6, IPV6_V6ONLY, is_loopback(host));
      if (::bind(listener.get(), at->ai_addr, at->ai_addrlen) == 0 &&
          ::listen(listener.get(), SOMAXCONN) == 0) {
        return listener;
      }
      reason = std::strerror(errno);
    }
  }
  user_error(fmt::format("cannot wait for other processes at port {}: {}", port, reason),
             "DAMC_PORT=N, the same for all of them, chooses another");
}

std::uint16_t port_of(const Socket& listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ENSURE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0,
         "cannot tell a socket's port: {}", std::strerror(errno));
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

Socket connect_to(const std::string& host, std::uint16_t port, Deadline until) {
  for (std::string reason;;) {
    const Addresses addresses = resolve(host.c_str(), port, reason);
    for (const addrinfo* at = addresses.get(); at; at = at->ai_next) {
      if (Socket connection = try_to_connect(*at, until, reason)) return connection;
    }
    if (std::chrono::steady_clock::now() + kPause >= until)
      throw Error(fmt::format("nobody answers at {} port {}: {}", host, port, reason));
    std::this_thread::sleep_for(kPause);
  }
}

Socket accept_from(const Socket& listener) {
  Socket connection(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  return connection ? prepared(std::move(connection)) : std::move(connection);
}

std::string address_of_peer(const Socket& connection) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char digits[NI_MAXHOST] = "";
  ::getpeername(connection.get(), reinterpret_cast<sockaddr*>(&address), &size);
  ::getnameinfo(reinterpret_cast<sockaddr*>(&address), size, digits, sizeof digits, nullptr, 0,
                NI_NUMERICHOST);
  constexpr std::string_view kMapped = "::ffff:";  // IPv4 that an IPv6 socket took
  return std::string_view(digits).starts_with(kMapped) ? digits + kMapped.size() : digits;
}

int left(Deadline until) {
  const auto time = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(time, 0, 1'000'000));
}

bool send_all(const Socket& connection, std::span<const std::byte> bytes, Deadline until) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(connection.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0)
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    else if (!would_block() || !ready(connection, POLLOUT, until))
      return false;
  }
  return true;
}

bool receive_all(const Socket& connection, std::span<std::byte> bytes, Deadline until) {
  while (!bytes.empty()) {
    const ssize_t received = ::recv(connection.get(), bytes.data(), bytes.size(), 0);
    if (received > 0)
      bytes = bytes.subspan(static_cast<std::size_t>(received));
    else if (received == 0 || !would_block() || !ready(connection, POLLIN, until))
      return false;
  }
  return true;
}

}  // namespace damc
