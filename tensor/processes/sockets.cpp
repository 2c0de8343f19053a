#include "tensor/processes/sockets.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <optional>
#include <thread>

#include "tensor/processes/host_communicator.h"

namespace damc {
namespace {

/// What stands before each message: its length. Or that its sender ends, and because of which process.
using Header = std::uint64_t;
constexpr Header kLeave = Header{1} << 63, kTold = Header{1} << 62, kProcess = 0xffffffff;
constexpr Header kDone = kLeave | kProcess;  // because of none: it has come to the end
constexpr std::size_t kAtOnce = 1 << 20;     // bytes from one process before the next has its turn

/// Both ways between this process and another in one exchange.
class Flow {
 public:
  Flow(int socket, std::span<const std::byte> to, std::span<std::byte> from)
      : socket_(socket), to_(to), from_(from), sent_header_(to.size()) {}

  short events() const {
    return static_cast<short>((is_received() ? 0 : POLLIN) | (is_sent() ? 0 : POLLOUT));
  }
  bool is_received() const { return received_ == sizeof(Header) + from_.size(); }
  /// What the other said in the place of a message that is due.
  Header received_header() const { return received_header_; }
  /// Whether a message to the other is begun and not ended.
  bool is_midway() const { return sent_ > 0 && !is_sent() && !cannot_send_; }

  /// Sends what finds room. Whether the other has gone is told by what comes from it.
  void send() {
    if (is_sent()) return;
    iovec parts[] = {rest(&sent_header_, sizeof sent_header_, sent_, 0),
                     rest(const_cast<std::byte*>(to_.data()), to_.size(), sent_, sizeof sent_header_)};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    const ssize_t count = ::sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) sent_ += static_cast<std::size_t>(count);
    cannot_send_ = count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
  }

  /// Takes what is here; false: the other has ended, or says that it does.
  bool receive() {
    if (is_received()) {
      if (cannot_send_) ::recv(socket_, &received_header_, sizeof(Header), MSG_DONTWAIT);
      return !cannot_send_;
    }
    const bool in_header = received_ < sizeof(Header);
    const iovec part = in_header ? rest(&received_header_, sizeof(Header), received_, 0)
                                 : rest(from_.data(), from_.size(), received_, sizeof(Header));
    const ssize_t count = ::recv(socket_, part.iov_base, std::min(part.iov_len, kAtOnce), MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) return false;
    if (count > 0) received_ += static_cast<std::size_t>(count);
    if (!in_header || received_ < sizeof(Header)) return true;
    if (received_header_ & kLeave) return false;
    ENSURE(received_header_ == from_.size(), "another process sends {} bytes where {} are due",
           received_header_, from_.size());
    return from_.empty() || receive();
  }

 private:
  bool is_sent() const { return cannot_send_ || sent_ == sizeof(Header) + to_.size(); }

  /// What is left of bytes that begin at `first` of a message, of which `done` have passed.
  static iovec rest(void* bytes, std::size_t size, std::size_t done, std::size_t first) {
    const std::size_t passed = std::min(size, done - std::min(done, first));
    return {static_cast<std::byte*>(bytes) + passed, size - passed};
  }

  int socket_;
  std::span<const std::byte> to_;
  std::span<std::byte> from_;
  Header sent_header_, received_header_ = 0;
  std::size_t sent_ = 0, received_ = 0;  // with the header
  bool cannot_send_ = false;
};

/// What the header of a leave says, or that process p is cut off without one.
ProcessGone gone_by(Header reason, std::size_t p, const std::vector<Peer>& peers) {
  const bool is_said = (reason & kLeave) && (reason & kProcess) < peers.size();
  const std::size_t gone = is_said ? reason & kProcess : p;
  return {fmt::format("process {} of {} ({}, pid {}) is gone", gone, peers.size(), peers[gone].host,
                      peers[gone].pid),
          static_cast<std::int64_t>(gone), is_said && (reason & kTold)};
}

/// Looks out, beside the work, for others that end before they are done.
class Watch {
 public:
  Watch(const std::vector<Peer>& peers, const OnLoss& on_loss)
      : wake_(::eventfd(0, EFD_CLOEXEC)), thread_([&peers, on_loss, this] { look(peers, on_loss); }) {}
  ~Watch() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
    thread_.join();
  }

 private:
  static constexpr int kGrace = 2000;  // milliseconds for the work to meet with it by itself

  void look(const std::vector<Peer>& peers, const OnLoss& on_loss) const {
    std::vector<pollfd> polls;
    for (const Peer& peer : peers) polls.push_back({peer.connection.get(), POLLRDHUP, 0});
    polls.push_back({wake_.get(), POLLIN, 0});
    for (;;) {
      if (::poll(polls.data(), polls.size(), -1) < 0) continue;
      if (polls.back().revents || ::poll(&polls.back(), 1, kGrace) > 0) return;
      for (std::size_t p = 0; p < peers.size(); ++p) {
        if (polls[p].revents == 0) continue;
        Header last = 0;
        ::recv(polls[p].fd, &last, sizeof last, MSG_PEEK | MSG_DONTWAIT);
        if (last != kDone) return on_loss(gone_by(last, p, peers));
        polls[p].fd = -1;
        polls[p].revents = 0;
      }
    }
  }

  Socket wake_;
  std::thread thread_;
};

class SocketCommunicator final : public HostCommunicator {
 public:
  SocketCommunicator(Part part, std::vector<Peer> peers, const OnLoss& on_loss)
      : HostCommunicator(part), peers_(std::move(peers)) {
    if (on_loss) watch_.emplace(peers_, on_loss);
  }
  /// An error that ends this process alone ends the others, which need not tell it again.
  ~SocketCommunicator() override {
    if (has_left_) return;
    const bool failed = std::uncaught_exceptions() > 0;
    for (const Peer& peer : peers_)
      say(peer, failed ? kLeave | kTold | static_cast<Header>(part().index) : kDone);
  }

 protected:
  void exchange(const Sent& to, const Received& from) const override {
    std::vector<Flow> flows;
    std::vector<pollfd> polls;
    for (std::size_t p = 0; p < peers_.size(); ++p) {
      flows.emplace_back(peers_[p].connection.get(), to[p], from[p]);
      polls.push_back({peers_[p].connection.get(), 0, 0});  // its own is none, which poll() passes over
      if (peers_[p].connection) flows[p].send();
    }
    while (wait(flows, polls)) {
      for (std::size_t p = 0; p < flows.size(); ++p) {
        if (polls[p].revents & POLLOUT) flows[p].send();
        if (polls[p].revents && !flows[p].receive()) leave(flows, p);
      }
    }
  }

 private:
  /// Returns when some flow can go on; false: there is nothing left to do.
  bool wait(const std::vector<Flow>& flows, std::vector<pollfd>& polls) const {
    bool left = false;
    for (std::size_t p = 0; p < flows.size(); ++p) {
      polls[p].events = polls[p].fd < 0 ? 0 : flows[p].events();
      polls[p].revents = 0;
      if (polls[p].events == 0) polls[p].fd = -1;
      left = left || polls[p].fd >= 0;
    }
    if (!left) return false;
    if (::poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR)
      throw Error(fmt::format("cannot wait for other processes: {}", std::strerror(errno)));
    return true;
  }

  /// Process p has ended, perhaps because of another: the rest are told which, as they may see the end of this one first.
  [[noreturn]] void leave(const std::vector<Flow>& flows, std::size_t p) const {
    watch_.reset();
    has_left_ = true;
    const ProcessGone gone = gone_by(flows[p].received_header(), p, peers_);
    const Header reason = kLeave | (gone.told ? kTold : 0) | static_cast<Header>(gone.process);
    for (std::size_t q = 0; q < flows.size(); ++q) {
      if (!flows[q].is_midway()) say(peers_[q], reason);
    }
    throw gone;
  }

  static void say(const Peer& peer, Header header) {
    if (peer.connection) ::send(peer.connection.get(), &header, sizeof header, MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  std::vector<Peer> peers_;
  mutable bool has_left_ = false;
  mutable std::optional<Watch> watch_;
};

}  // namespace

std::unique_ptr<Communicator> join_by_sockets(const Meeting& meeting, const OnLoss& on_loss) {
  return std::make_unique<SocketCommunicator>(meeting.part, meet(meeting), on_loss);
}

}  // namespace damc
