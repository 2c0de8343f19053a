/// Files as a whole: bounded reading, and writing that either completes or leaves no trace.
/// A file is written under a temporary name in its own folder, flushed to the disk and then renamed over the
/// target, so that a crash or a full disk never leaves half a file behind, nor harms the one that was there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace damc {

/// Size in bytes of a regular file. Throws UserError when `path` is missing or is anything else.
int64_t regular_file_size(const std::filesystem::path& path);

/// The bytes of a regular file. Throws UserError when it is missing, unreadable or larger than `max_bytes`.
std::vector<std::byte> read_file(const std::filesystem::path& path, int64_t max_bytes);

/// A file that appears under its name only at `commit()`; destroyed before that, it disappears.
/// Every member throws Error with the path and the system's reason (no such folder, disk full, ...).
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends `bytes`.
  void write(std::span<const std::byte> bytes);
  /// Flushes to the disk and renames to the final name; the last call on this object.
  void commit();

 private:
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
};

/// A folder held by this process against others, until this goes or the process ends, however it does.
class FolderLock {
 public:
  /// Throws UserError when another process holds the folder, Error when it cannot be opened.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

/// Removes what AtomicFiles of a process that was killed have left in a folder. None may be at work there.
void remove_unfinished_files(const std::filesystem::path& folder);

/// Writes all of `bytes` to `path` through an AtomicFile. Throws Error as that does.
void atomic_write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace damc
