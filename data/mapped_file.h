/// A file that is read through the memory: only the parts that are looked at take any.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace damc {

/// The bytes of a regular file, mapped for reading. The file may be removed or replaced meanwhile; where somebody shortens
/// it, the bytes become zeros, which require_whole (mapped_bytes.h) tells.
class MappedFile {
 public:
  /// Throws UserError when `path` is missing, no regular file or unreadable.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace damc
