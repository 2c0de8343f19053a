/// Files as a whole: bounded reading, and writing that either completes or leaves no trace.
/// A file is written under a temporary name in its own folder, flushed to the disk and then renamed over the
/// target, so that a crash or a full disk never leaves half a file behind, nor harms the one that was there.
/// Links are followed, a file that is replaced hands its mode on, and devices, pipes and /dev/stdout are written to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace damc {

/// Throws that something cannot be read, and the system's reason (errno): as UserError where that is about the path, such
/// as a permission; as Error, with a hint where there is one, where it is about the machine, such as too many open files
/// or a disk that fails.
[[noreturn]] void cannot_read(const std::string& message, int reason);

/// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();

  int number() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_;
};

/// A regular file, opened for reading. Throws as cannot_read does, and UserError when it is missing or anything else.
Descriptor open_regular(const std::filesystem::path& path);

/// What a path leads to, links followed; not_found: nothing. Throws as cannot_read does when the system does not say, as
/// where a folder on the way may not be searched.
std::filesystem::file_status status_of(const std::filesystem::path& path);

/// What a folder holds, in byte order; nothing where there is no such folder. Throws as cannot_read does.
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder);

/// Size in bytes of a regular file. Throws as open_regular does.
int64_t regular_file_size(const std::filesystem::path& path);

/// The bytes of a regular file. Throws as open_regular does, and UserError when it is larger than `max_bytes`.
std::vector<std::byte> read_file(const std::filesystem::path& path, int64_t max_bytes);

/// A regular file that is read at any place.
class InputFile {
 public:
  /// Throws as open_regular does.
  explicit InputFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  int64_t size() const { return size_; }
  /// Fills `to` from position `at` on. Throws UserError when the file does not hold so much, or as cannot_read does.
  void read(int64_t at, std::span<std::byte> to);
  /// `bytes` bytes from position `at` on. Throws UserError as above, before anything is allocated.
  std::vector<std::byte> read(int64_t at, int64_t bytes);

 private:
  void check_range(int64_t at, int64_t bytes) const;

  std::filesystem::path path_;
  Descriptor descriptor_;
  int64_t size_;
};

/// A file that appears under its name only at `commit()`; destroyed before that, it disappears. What is no regular
/// file takes the bytes as they come. Every member throws Error with the path and the system's reason (no such folder,
/// disk full, ...); the constructor does so for everything that is known before the first byte.
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
  void open_special();
  [[noreturn]] void fail(const char* what, int reason = 0) const;

  std::filesystem::path path_, target_;
  std::filesystem::path temporary_;  // empty for what is no regular file
  int descriptor_ = -1;
};

/// A folder for files, made with those above it unless it is there. Of what was made, what is empty when this goes does
/// not stay.
class OutputFolder {
 public:
  /// Throws Error with the system's reason.
  explicit OutputFolder(std::filesystem::path path);
  ~OutputFolder();
  OutputFolder(OutputFolder&&) = default;
  OutputFolder& operator=(OutputFolder&&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::vector<std::filesystem::path> made_;  // the innermost first
};

/// A folder held by this process against others, until this goes or the process ends, however it does.
class FolderLock {
 public:
  /// What is done about a folder that another process holds, and goes on holding for a tenth of a second.
  enum class IfHeld { refuse, wait };
  /// Throws UserError when the folder is held and that is to be refused; as cannot_read does when it cannot be opened.
  explicit FolderLock(const std::filesystem::path& folder, IfHeld if_held = IfHeld::refuse);
  /// Whether another process of this machine holds a folder.
  static bool is_held(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

/// Removes what AtomicFiles of a process that was killed have left in a folder. None may be at work there.
void remove_unfinished_files(const std::filesystem::path& folder);

/// Whether a file of this name would go to standard output, as /dev/stdout does.
bool is_standard_output(const std::filesystem::path& path);

/// Writes all of `bytes` to `path` through an AtomicFile. Throws Error as that does.
void atomic_write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace damc
