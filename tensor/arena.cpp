#include "tensor/arena.h"

namespace damc {
namespace {

/// Few sizes, and every block aligned as the device's own are.
std::size_t whole_units(std::size_t bytes) { return (bytes + 511) / 512 * 512; }

}  // namespace

Arena::~Arena() {
  for (const auto& [size, block] : free_) source_.dispose(block, size);
}

void* Arena::allocate(std::size_t bytes) {
  const std::size_t size = whole_units(bytes);
  auto found = free_.lower_bound(size);
  if (found == free_.end() || found->first > 2 * size) {
    found = free_.emplace(size, source_.obtain(size));
    reserved_ += size;
  }
  void* block = found->second;
  out_.emplace(block, free_.extract(found));
  return block;
}

void Arena::release(void* block) {
  const auto found = out_.find(block);
  free_.insert(std::move(found->second));
  out_.erase(found);
}

std::shared_ptr<Arena> Arenas::of_steps(const Arena::Source& source) {
  std::shared_ptr<Arena> arena = of_steps_.lock();
  if (!arena) of_steps_ = arena = std::make_shared<Arena>(source);
  return arena;
}

void* Arenas::allocate(std::size_t bytes) {
  void* block = active_->allocate(bytes);
  owners_.emplace(block, active_);
  return block;
}

bool Arenas::release(void* block) {
  const auto owner = owners_.find(block);
  if (owner == owners_.end()) return false;
  owner->second->release(block);
  owners_.erase(owner);
  return true;
}

}  // namespace damc
