#include "tests/guarded_backend.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tensor/error.h"

namespace damc {
namespace {

constexpr std::size_t kCapacity = std::size_t{1} << 32;  // address space only, until it is used

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

/// Every block has pages of its own, so that opening one opens no other.
std::size_t whole_pages(std::size_t bytes) { return (bytes + page_size() - 1) / page_size() * page_size(); }

/// A guard that cannot be set would let tests pass that prove nothing.
void protect(void* first, std::size_t bytes, int rights) {
  if (mprotect(first, bytes, rights) == 0) return;
  fmt::print(stderr, "guarded device: mprotect of {} bytes: {}\n", bytes, std::strerror(errno));
  std::abort();
}

}  // namespace

/// A kernel or copy while it runs, and the memory it may touch; what it opens is closed when the outermost
/// one ends.
class GuardedBackend::Access {
 public:
  explicit Access(GuardedBackend& owner) : owner_(owner) { ++owner_.running_; }
  ~Access() {
    if (--owner_.running_ > 0) return;
    for (const auto& [first, bytes] : owner_.open_) protect(first, bytes, PROT_NONE);
    owner_.open_.clear();
  }
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;

  void open(const void* data, std::size_t bytes) {
    const std::size_t before = static_cast<std::size_t>(static_cast<const std::byte*>(data) - owner_.memory_);
    const std::size_t start = before / page_size() * page_size();
    owner_.open_.emplace_back(owner_.memory_ + start, whole_pages(before + bytes - start));
    protect(owner_.open_.back().first, owner_.open_.back().second, PROT_READ | PROT_WRITE);
  }
  /// The memory from a tensor's first element to its last.
  void open(const Tensor& t) {
    std::int64_t last = 0;
    for (int d = 0; d < t.ndim(); ++d) last += (t.shape()[d] - 1) * t.strides()[d];
    open(t.raw(), static_cast<std::size_t>(last + 1) * size_of(t.dtype()));
  }

 private:
  GuardedBackend& owner_;
};

GuardedBackend::GuardedBackend() : cpu_(backend(Device{})) {
  void* mapped = mmap(nullptr, kCapacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ENSURE(mapped != MAP_FAILED, "guarded device: mmap of {} bytes: {}", kCapacity, std::strerror(errno));
  memory_ = static_cast<std::byte*>(mapped);
}

GuardedBackend::~GuardedBackend() { munmap(memory_, kCapacity); }

void* GuardedBackend::allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  const std::size_t size = whole_pages(bytes);
  auto& blocks = free_[size];
  void* block = nullptr;
  if (blocks.empty()) {
    ENSURE(used_ + size <= kCapacity, "guarded device: full; asked for {} bytes, {} in use", bytes, in_use_);
    block = memory_ + used_;
    used_ += size;
    blocks.reserve(blocks.capacity() + 1);  // so that release, called from destructors, cannot throw
  } else {
    block = blocks.back();
    blocks.pop_back();
  }
  in_use_ += size;
  Access access(*this);
  access.open(block, size);
  std::memset(block, 0xFF, size);
  return block;
}

void GuardedBackend::release(void* block, std::size_t bytes) {
  if (!block) return;
  const std::size_t size = whole_pages(bytes);
  free_[size].push_back(block);
  in_use_ -= size;
}

void GuardedBackend::copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind kind) {
  if (bytes == 0) return;
  const bool up = kind == CopyKind::host_to_device;
  ENSURE(contains(to) == up && contains(from) != up, "guarded device: a copy {} the device with {}",
         up ? "to" : "from",
         contains(to) == contains(from) ? "both sides in one place" : "its sides exchanged");
  Access access(*this);
  access.open(up ? to : from, bytes);
  std::memcpy(to, from, bytes);
}

bool GuardedBackend::contains(const void* address) const {
  return address >= memory_ && address < memory_ + kCapacity;
}

void GuardedBackend::intercept(const KernelCall& call) {
  Access access(*this);
  int number = 0;
  for (const Operands* side : {&call.reads, &call.writes}) {
    for (const Tensor& t : *side) {
      ++number;
      if (!t.defined() || t.numel() == 0) continue;
      ENSURE(contains(t.raw()), "guarded device: operand {} of {}, shape {}, is on {}", number, call.kernel,
             t.shape().str(), t.device().str());
      access.open(t);
    }
  }
  call(cpu_);
}

}  // namespace damc
