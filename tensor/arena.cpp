#include "tensor/arena.h"

namespace damc {
namespace {

/// Few sizes, and every block aligned as the device's own are.
std::size_t whole_units(std::size_t bytes) { return (bytes + 511) / 512 * 512; }

}  // namespace

Arena::~Arena() {
  for (const auto& [size, blocks] : free_) {
    for (void* block : blocks) source_.dispose(block, size);
  }
}

void* Arena::allocate(std::size_t bytes) {
  const std::size_t size = whole_units(bytes);
  auto& blocks = free_[size];
  if (!blocks.empty()) {
    void* block = blocks.back();
    blocks.pop_back();
    return block;
  }
  blocks.reserve(blocks.capacity() + 1);  // so that release, called from destructors, cannot throw
  void* block = source_.obtain(size);
  reserved_ += size;
  return block;
}

void Arena::release(void* block, std::size_t bytes) { free_[whole_units(bytes)].push_back(block); }

void* Arenas::allocate(std::size_t bytes) {
  void* block = active_->allocate(bytes);
  owners_.emplace(block, active_);
  return block;
}

bool Arenas::release(void* block, std::size_t bytes) {
  const auto owner = owners_.find(block);
  if (owner == owners_.end()) return false;
  owner->second->release(block, bytes);
  owners_.erase(owner);
  return true;
}

}  // namespace damc
