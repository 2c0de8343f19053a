#include "data/mapped_bytes.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <mutex>

#include "tensor/error.h"

namespace damc {

namespace {

using Address = std::uintptr_t;

/// A mapping that the handler of SIGBUS knows; it is free where `begin` is 0.
struct Watch {
  std::atomic<Address> begin{0}, end{0};
  std::atomic<bool> lost{false};
  std::string name;
};
std::array<Watch, 64> watches;
static_assert(std::atomic<Address>::is_always_lock_free, "a handler may look at it");
const auto page_size = static_cast<Address>(sysconf(_SC_PAGESIZE));
struct sigaction action_before {};

/// Puts zeros in the place of what is gone, so that the read that found it can end. Does only what a handler may.
void on_bus_error(int, siginfo_t* info, void*) {
  const auto at = reinterpret_cast<Address>(info->si_addr);
  for (Watch& watch : watches) {
    const Address begin = watch.begin, end = watch.end;
    if (at < begin || at >= end) continue;
    void* const page = reinterpret_cast<void*>(at - at % page_size);
    const int reason = errno;
    if (mmap(page, end - at + at % page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
        page)
      break;
    errno = reason;
    watch.lost = true;
    return;
  }
  sigaction(SIGBUS, &action_before, nullptr);  // another's: it comes again
}

void handle_bus_errors() {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, &action_before);
}

Address address_of(std::span<const std::byte> bytes) { return reinterpret_cast<Address>(bytes.data()); }

}  // namespace

void watch_mapped(std::span<const std::byte> bytes, const std::string& name) {
  static std::once_flag handled;
  std::call_once(handled, handle_bus_errors);
  const Address begin = address_of(bytes);
  for (Watch& watch : watches) {
    Address none = 0;
    if (!watch.begin.compare_exchange_strong(none, begin)) continue;
    watch.name = name;
    watch.lost = false;
    watch.end = begin + bytes.size();
    return;
  }
}

void unwatch_mapped(std::span<const std::byte> bytes) {
  for (Watch& watch : watches) {
    if (watch.begin != address_of(bytes)) continue;
    watch.end = 0;
    watch.begin = 0;
  }
}

void require_whole(std::span<const std::byte> bytes) {
  const Address at = address_of(bytes);
  for (const Watch& watch : watches) {
    if (!watch.lost || at < watch.begin || at >= watch.end) continue;
    throw Error(
        fmt::format("'{}' was shortened while it was in use, or its disk cannot be read", watch.name));
  }
}

}  // namespace damc
