#include "tensor/processes/rendezvous.h"

#include <fmt/ranges.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <deque>
#include <optional>
#include <random>
#include <thread>

#include "tensor/error.h"
#include "tensor/text.h"

namespace damc {
namespace {

// What is sent, as it lies in memory: the other order of bytes is another magic number.
constexpr std::uint64_t kMagic = 0x64616d6374637031;
constexpr std::uint32_t kVersion = 1;
template <std::size_t N>
using Text = std::array<char, N>;

/// Of a process to another.
struct Hello {
  std::uint64_t magic = kMagic;
  std::uint32_t version = kVersion, index = 0, count = 0, port = 0;  // at which it waits for others
  std::int64_t pid = 0;
  Text<64> host{};
  Text<128> job{};  // among others than the first its key
};

/// Of the first process to each; where there is no refusal, an Address of each process follows.
struct Answer {
  std::uint64_t magic = kMagic;
  Text<256> refusal{};
  Text<32> key{};
};

struct Address {
  std::int64_t pid = 0, port = 0;
  Text<64> digits{}, host{};
};

/// What does not fit is cut, the same everywhere.
template <std::size_t N>
void put(Text<N>& field, const std::string& text) {
  text.copy(field.data(), N - 1);
}
/// The bytes of others, on one line.
template <std::size_t N>
std::string text_of(const Text<N>& field) {
  return escaped(std::string(field.begin(), std::find(field.begin(), field.end(), '\0')));
}
template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}
template <class T>
std::span<std::byte> writable(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

std::string own_host() {
  char host[HOST_NAME_MAX + 1] = "";
  ::gethostname(host, sizeof host);
  return host;
}

Hello hello(const Meeting& meeting, const std::string& job, std::uint16_t port) {
  Hello own;
  own.index = static_cast<std::uint32_t>(meeting.part.index);
  own.count = static_cast<std::uint32_t>(meeting.part.count);
  own.port = port;
  own.pid = ::getpid();
  put(own.host, own_host());
  put(own.job, job);
  return own;
}

/// Somebody who has come, and as much as was heard.
struct Guest {
  Socket connection;
  Hello said{};
  std::size_t heard = 0;

  bool is_done() const { return heard == sizeof said; }
  /// False: it has gone, or speaks of something else.
  bool listen() {
    const ssize_t count = ::read(connection.get(), writable(said).data() + heard, sizeof said - heard);
    if (count > 0) heard += static_cast<std::size_t>(count);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) return false;
    return heard < sizeof said.magic || said.magic == kMagic;
  }
};

/// Where guests come in, who may be anybody.
class Door {
 public:
  Door(const Socket& listener, Deadline until) : listener_(listener), until_(until) {}

  /// The next who has said hello; none until the deadline.
  std::optional<Guest> next() {
    for (;;) {
      const auto done = std::ranges::find_if(waiting_, &Guest::is_done);
      if (done != waiting_.end()) {
        Guest guest = std::move(*done);
        waiting_.erase(done);
        return guest;
      }
      if (left(until_) == 0) return std::nullopt;
      wait();
    }
  }

 private:
  static constexpr std::size_t kMostWaiting = 128;  // who say nothing, or not enough

  void wait() {
    std::vector<pollfd> polls{{listener_.get(), POLLIN, 0}};
    for (const Guest& guest : waiting_) polls.push_back({guest.connection.get(), POLLIN, 0});
    if (::poll(polls.data(), polls.size(), left(until_)) <= 0) return;
    std::deque<Guest> still;
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
      if (polls[i + 1].revents == 0 || waiting_[i].listen()) still.push_back(std::move(waiting_[i]));
    }
    waiting_ = std::move(still);
    if (polls[0].revents == 0) return;
    if (waiting_.size() == kMostWaiting) waiting_.pop_front();
    if (Socket connection = accept_from(listener_)) waiting_.push_back({std::move(connection)});
  }

  const Socket& listener_;
  const Deadline until_;
  std::deque<Guest> waiting_;
};

/// Why somebody is not let in to the first process; empty: it is.
std::string refusal(const Hello& said, const Meeting& meeting, const std::vector<Peer>& peers) {
  const Hello own = hello(meeting, meeting.job, 0);
  if (said.version != own.version) {
    return fmt::format("process {} of version {} of the handshake came to one of {}", said.index,
                       said.version, own.version);
  }
  if (said.job != own.job) {
    return fmt::format("process {} of job '{}' came to job '{}'", said.index, text_of(said.job),
                       text_of(own.job));
  }
  if (said.count != own.count || said.index == 0 || said.index >= own.count || said.port > USHRT_MAX)
    return fmt::format("process {} of {} came to one of {}", said.index, said.count, own.count);
  if (peers[said.index].connection) return fmt::format("two processes {} of {} came", said.index, said.count);
  return {};
}

/// Sends an answer; who is not there any more is missed later.
void answer(const Socket& connection, const Answer& to_send, Deadline until) {
  send_all(connection, bytes_of(to_send), until);
}

void refuse(const Socket& connection, const std::string& reason, Deadline until) {
  Answer refused;
  put(refused.refusal, reason);
  answer(connection, refused, until);
}

std::vector<Address> table_of(const std::vector<Peer>& peers, const std::vector<Hello>& said) {
  std::vector<Address> table(peers.size());
  for (std::size_t p = 0; p < peers.size(); ++p) {
    table[p].pid = said[p].pid;
    table[p].port = said[p].port;
    table[p].host = said[p].host;
    if (peers[p].connection) put(table[p].digits, address_of_peer(peers[p].connection));
  }
  return table;
}

[[noreturn]] void miss(const std::vector<Peer>& peers, const Meeting& meeting, const std::string& refused) {
  std::vector<std::size_t> missing;
  for (std::size_t p = 1; p < peers.size(); ++p) {
    if (!peers[p].connection) missing.push_back(p);
  }
  const std::string message = fmt::format(
      "process{} {} of {} did not come to {} port {} in {:.3g} s{}", missing.size() == 1 ? "" : "es",
      fmt::join(missing, ", "), peers.size(), meeting.host, meeting.port,
      std::chrono::duration<double>(meeting.patience).count(), refused.empty() ? "" : "; " + refused);
  for (const Peer& peer : peers) {
    if (peer.connection) refuse(peer.connection, message, std::chrono::steady_clock::now());
  }
  user_error(message, "start all of them, each where it can reach that address");
}

/// The first process: waits for the others, and tells each of all.
std::vector<Peer> lead(const Meeting& meeting) {
  const Deadline until = std::chrono::steady_clock::now() + meeting.patience;
  const Socket listener =
      meeting.listener >= 0 ? Socket(meeting.listener) : listen_at(meeting.host, meeting.port);
  Door door(listener, until);
  std::vector<Peer> peers(static_cast<std::size_t>(meeting.part.count));
  std::vector<Hello> said(peers.size());
  said[0] = hello(meeting, "", 0);
  std::string refused;
  for (std::size_t missing = peers.size() - 1; missing > 0;) {
    std::optional<Guest> guest = door.next();
    if (!guest) miss(peers, meeting, refused);
    if (const std::string reason = refusal(guest->said, meeting, peers); !reason.empty()) {
      refused = reason;
      refuse(guest->connection, reason, until);
      continue;
    }
    const std::size_t p = guest->said.index;
    said[p] = guest->said;
    peers[p] = {std::move(guest->connection), text_of(said[p].host), said[p].pid};
    --missing;
  }
  Answer welcome;
  put(welcome.key, random_key());
  const std::vector<Address> table = table_of(peers, said);
  for (const Peer& peer : peers) {
    if (!peer.connection) continue;
    answer(peer.connection, welcome, until);
    send_all(peer.connection, std::as_bytes(std::span(table)), until);
  }
  return peers;
}

/// Another process says hello to the first, until it has an answer.
Socket ask(const Meeting& meeting, std::uint16_t port, Answer& answered, Deadline until) {
  const Hello own = hello(meeting, meeting.job, port);
  for (;;) {
    Socket first = connect_to(meeting.host, meeting.port, until);
    if (send_all(first, bytes_of(own), until) && receive_all(first, writable(answered), until) &&
        answered.magic == kMagic) {
      return first;
    }
    if (left(until) == 0)
      throw Error(fmt::format("whoever answers at {} port {} is not damc", meeting.host, meeting.port));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

/// Any but the first goes to those before it, and waits for those after it.
std::vector<Peer> follow(const Meeting& meeting) {
  // After the first has told who is missing.
  const std::chrono::milliseconds grace = std::min(meeting.patience, std::chrono::milliseconds(5000));
  const Deadline until = std::chrono::steady_clock::now() + meeting.patience + grace;
  const Socket listener = listen_at(meeting.host, 0);
  std::vector<Peer> peers(static_cast<std::size_t>(meeting.part.count));
  Answer answered;
  peers[0].connection = ask(meeting, port_of(listener), answered, until);
  if (answered.refusal[0] != '\0') throw Error(text_of(answered.refusal));
  std::vector<Address> table(peers.size());
  ENSURE(receive_all(peers[0].connection, std::as_writable_bytes(std::span(table)), until),
         "the first process has gone");
  const auto mine = static_cast<std::size_t>(meeting.part.index);
  const std::string key(answered.key.begin(), std::find(answered.key.begin(), answered.key.end(), '\0')),
      of_first = address_of_peer(peers[0].connection);
  for (std::size_t p = 0; p < peers.size(); ++p) {
    peers[p].host = text_of(table[p].host);
    peers[p].pid = table[p].pid;
    if (p == 0 || p >= mine) continue;
    // To the first process its neighbours on the same machine are at a loopback.
    const std::string digits = text_of(table[p].digits), &at = is_loopback(digits) ? of_first : digits;
    peers[p].connection = connect_to(at, static_cast<std::uint16_t>(table[p].port), until);
    send_all(peers[p].connection, bytes_of(hello(meeting, key, 0)), until);
  }
  const Hello expected = hello(meeting, key, 0);
  Door door(listener, until);
  for (std::size_t missing = peers.size() - 1 - mine; missing > 0;) {
    std::optional<Guest> guest = door.next();
    ENSURE(guest, "{} of the others did not come", missing);
    const std::size_t p = guest->said.index;
    if (guest->said.job != expected.job || p <= mine || p >= peers.size() || peers[p].connection) continue;
    peers[p].connection = std::move(guest->connection);
    --missing;
  }
  return peers;
}

}  // namespace

std::string random_key() {
  std::random_device random;
  std::string key;
  while (key.size() < 31) key += fmt::format("{:08x}", random());
  return key;
}

std::vector<Peer> meet(const Meeting& meeting) {
  constexpr std::int64_t kMost = 65'536;
  const auto [index, count] = meeting.part;
  if (count > kMost) user_error(fmt::format("{} processes", count), fmt::format("at most {} meet", kMost));
  if (index == 0) return lead(meeting);
  try {
    return follow(meeting);
  } catch (const Error& error) {
    const std::string_view reason(error.what());
    user_error(fmt::format("process {} of {} cannot join the others: {}", index, count,
                           reason.substr(0, reason.find('\n'))),
               "MASTER_ADDR and MASTER_PORT say where the first of them waits");
  }
}

}  // namespace damc
