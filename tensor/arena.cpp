#include "tensor/arena.h"

#include <algorithm>

namespace damc {
namespace {

/// Every block is aligned as the device's own are.
std::size_t whole_units(std::size_t bytes) { return (bytes + 511) / 512 * 512; }

}  // namespace

/// Nothing is out any more, so that every segment is one block.
Arena::~Arena() {
  for (const auto& [segment, block] : blocks_) source_.dispose(segment, block.bytes);
}

void Arena::prepare() {
  const std::size_t expected = whole_units(expected_);
  if (held_ < expected) add_segment(expected - held_);
}

void* Arena::allocate(std::size_t bytes) {
  const std::size_t size = whole_units(bytes);
  auto found = std::ranges::find_if(
      blocks_, [&](const auto& entry) { return !entry.second.out && entry.second.bytes >= size; });
  if (found == blocks_.end()) found = add_segment(size);
  auto& [address, block] = *found;
  if (block.bytes > size) blocks_.emplace(address + size, Block{block.bytes - size});
  block.bytes = size;
  block.out = true;
  return address;
}

void Arena::release(void* address) {
  const auto block = blocks_.find(static_cast<std::byte*>(address));
  block->second.out = false;
  join(block, std::next(block));
  if (block != blocks_.begin()) join(std::prev(block), block);
}

bool Arena::anything_out() const {
  return std::ranges::any_of(blocks_, [](const auto& entry) { return entry.second.out; });
}

/// Makes one of two free blocks of the same segment.
void Arena::join(const Blocks::iterator& block, const Blocks::iterator& next) {
  if (next == blocks_.end() || next->second.begins_segment || block->second.out || next->second.out) return;
  block->second.bytes += next->second.bytes;
  blocks_.erase(next);
}

Arena::Blocks::iterator Arena::add_segment(std::size_t bytes) {
  const auto address = static_cast<std::byte*>(source_.obtain(bytes));
  held_ += bytes;
  return blocks_.emplace(address, Block{.bytes = bytes, .begins_segment = true}).first;
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
