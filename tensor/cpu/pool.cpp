#include "tensor/cpu/pool.h"

#include <bit>
#include <cstdlib>
#include <mutex>

#include "tensor/error.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(block, bytes) (static_cast<void>(block), static_cast<void>(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(block, bytes) (static_cast<void>(block), static_cast<void>(bytes))
#endif

namespace damc {
namespace {

/// Rounds up to one of four steps per power of two (at most 25 % waste), never below a cache line.
std::size_t size_class(std::size_t bytes) {
  if (bytes <= 64) return 64;
  const std::size_t step = std::max<std::size_t>(64, std::bit_floor(bytes - 1) / 4);
  return (bytes + step - 1) / step * step;
}

}  // namespace

HostPool::~HostPool() { give_back(); }

void HostPool::give_back() {
  for (auto& [size, blocks] : free_) {
    for (void* block : blocks) {
      ASAN_UNPOISON_MEMORY_REGION(block, size);
      std::free(block);
      reserved_ -= size;
    }
    blocks.clear();
  }
}

void* HostPool::allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  const std::size_t size = size_class(bytes);
  const std::lock_guard lock(mutex_);
  auto& blocks = free_[size];
  void* block = nullptr;
  if (blocks.empty()) {
    block = std::aligned_alloc(64, size);
    if (!block) {
      give_back();
      block = std::aligned_alloc(64, size);
    }
    ENSURE(block != nullptr, "out of memory: asked for {:.1f} MiB more, {:.1f} MiB in use",
           static_cast<double>(size) / 1048576.0, static_cast<double>(in_use_) / 1048576.0);
    reserved_ += size;
    blocks.reserve(blocks.capacity() + 1);  // so that release, called from destructors, cannot throw
  } else {
    block = blocks.back();
    blocks.pop_back();
    ASAN_UNPOISON_MEMORY_REGION(block, size);
  }
  in_use_ += size;
  return block;
}

void HostPool::release(void* block, std::size_t bytes) {
  if (!block) return;
  const std::size_t size = size_class(bytes);
  const std::lock_guard lock(mutex_);
  ASAN_POISON_MEMORY_REGION(block, size);
  free_[size].push_back(block);
  in_use_ -= size;
}

std::size_t HostPool::bytes_in_use() const {
  const std::lock_guard lock(mutex_);
  return in_use_;
}

std::size_t HostPool::bytes_reserved() const {
  const std::lock_guard lock(mutex_);
  return reserved_;
}

}  // namespace damc
