#include "tensor/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr const char* kMark = ".tmp-";  // in the name of an unfinished file

/// Unique among the threads and processes of this machine, and hidden from a plain listing.
fs::path temporary_name(const fs::path& path) {
  static std::atomic<int> counter{0};
  return path.parent_path() /
         fmt::format(".{}{}{}-{}", path.filename().string(), kMark, ::getpid(), ++counter);
}

/// Makes a rename in `folder` durable. File systems that cannot sync a folder say EINVAL; that is their best.
bool sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool synced = ::fsync(descriptor) == 0 || errno == EINVAL;
  const int reason = errno;
  ::close(descriptor);
  errno = reason;
  return synced;
}

}  // namespace

int64_t regular_file_size(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) user_error(fmt::format("'{}' does not exist", path.string()));
  if (!fs::is_regular_file(status)) user_error(fmt::format("'{}' is not a regular file", path.string()));
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) user_error(fmt::format("cannot read '{}': {}", path.string(), error.message()));
  return static_cast<int64_t>(size);
}

std::vector<std::byte> read_file(const fs::path& path, int64_t max_bytes) {
  const int64_t size = regular_file_size(path);
  if (size > max_bytes)
    user_error(
        fmt::format("'{}' has {} bytes; at most {} are accepted here", path.string(), size, max_bytes));
  std::ifstream in(path, std::ios::binary);
  if (!in) user_error(fmt::format("cannot open '{}': {}", path.string(), std::strerror(errno)));
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  in.read(reinterpret_cast<char*>(bytes.data()), size);
  if (in.gcount() != size)
    user_error(fmt::format("read only {} of {} bytes of '{}'", in.gcount(), size, path.string()));
  return bytes;
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), temporary_(temporary_name(path_)) {
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("create");
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail("write");
  // close() too can report a failed write (network file systems); the descriptor is gone either way.
  if (::close(std::exchange(descriptor_, -1)) != 0) fail("write");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("create");
  temporary_.clear();
  if (!sync_folder(path_.parent_path())) fail("flush the folder of");
}

void AtomicFile::fail(const char* what) const {
  throw Error(fmt::format("cannot {} '{}': {}", what, path_.string(), std::strerror(errno)));
}

FolderLock::FolderLock(const std::filesystem::path& folder)
    : descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) throw Error(fmt::format("cannot open {}: {}", folder.string(), std::strerror(errno)));
  // Where a file system knows no locks, the folder is as free as it was.
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(descriptor_);
  user_error(fmt::format("another process is at work in {}", folder.string()),
             "wait for it, or stop it first");
}

FolderLock::~FolderLock() { ::close(descriptor_); }

void remove_unfinished_files(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code failure;  // what cannot be looked at or removed does no harm
  for (const auto& entry : fs::directory_iterator(folder, failure)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".") && name.find(kMark) != std::string::npos) found.push_back(entry.path());
  }
  for (const fs::path& file : found) fs::remove(file, failure);
}

void atomic_write_file(const fs::path& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace damc
