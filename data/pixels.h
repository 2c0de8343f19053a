/// The bytes of images, shared by all copies and never changed: in memory, or in a file that is mapped into it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "data/mapped_file.h"
#include "tensor/error.h"

namespace damc {

class Pixels {
 public:
  Pixels() = default;
  Pixels(std::vector<std::uint8_t> bytes) {  // not explicit: where pixels are wanted, bytes are pixels
    auto kept = std::make_shared<const std::vector<std::uint8_t>>(std::move(bytes));
    bytes_ = *kept;
    keeper_ = std::move(kept);
  }
  Pixels(std::initializer_list<std::uint8_t> bytes) : Pixels(std::vector<std::uint8_t>(bytes)) {}
  /// The bytes of a file from `begin` on.
  Pixels(std::shared_ptr<const MappedFile> file, std::size_t begin) {
    const std::span<const std::byte> all = file->bytes();
    ENSURE(begin <= all.size(), "pixels from byte {} of a file of {}", begin, all.size());
    bytes_ = {reinterpret_cast<const std::uint8_t*>(all.data()) + begin, all.size() - begin};
    keeper_ = std::move(file);
  }

  std::span<const std::uint8_t> bytes() const { return bytes_; }
  const std::uint8_t* data() const { return bytes_.data(); }
  std::size_t size() const { return bytes_.size(); }
  auto begin() const { return bytes_.begin(); }
  auto end() const { return bytes_.end(); }
  const std::uint8_t& operator[](std::size_t i) const { return bytes_[i]; }

  /// `count` of these bytes from `first` on, without copying. Throws Error when there are not so many.
  Pixels part(std::size_t first, std::size_t count) const {
    ENSURE(first <= size() && count <= size() - first, "bytes {} to {} of {} pixels", first, first + count,
           size());
    Pixels part = *this;
    part.bytes_ = bytes_.subspan(first, count);
    return part;
  }

  friend bool operator==(const Pixels& a, const Pixels& b) { return std::ranges::equal(a, b); }

 private:
  std::shared_ptr<const void> keeper_;  // of the memory behind bytes_
  std::span<const std::uint8_t> bytes_;
};

}  // namespace damc
