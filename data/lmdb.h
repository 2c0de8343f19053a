/// LMDB databases, as LSUN is released: a file data.mdb that holds a tree of keys and values.
///
/// The library of that name trusts the numbers in the file, which it maps into memory: a cut or damaged one ends
/// the process. So the tree is walked here, every step within bounds. Read are the files that the library writes on
/// 64-bit little-endian machines (version 1 of the format), with one database of unique keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/mapped_file.h"

namespace damc {

class Lmdb {
 public:
  /// Finds all keys of the file at `path`. Throws UserError when it is missing, of another kind, cut off or damaged,
  /// or when it holds several databases or several values to a key.
  explicit Lmdb(const std::filesystem::path& path);

  /// How many values there are.
  std::int64_t size() const { return static_cast<std::int64_t>(entries_.size()); }
  /// Key `i` in the order of the tree, which is that of their bytes. Throws Error when there is none.
  std::string key(std::int64_t i) const;
  /// The value of key `i`, in the mapped file. Throws UserError when its pages are damaged.
  std::span<const std::byte> value(std::int64_t i) const;

 private:
  struct Entry {
    std::span<const std::byte> key, value;
    bool has_pages;  // of its own: their header is looked at only when the value is asked for
  };
  class Walk;
  const Entry& entry(std::int64_t i) const;

  std::filesystem::path path_;
  MappedFile file_;
  std::vector<Entry> entries_;
};

}  // namespace damc
