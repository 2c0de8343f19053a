#include "tensor/io/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>
#include <utility>

#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr const char* kMark = ".tmp-";  // in the name of an unfinished file

/// Unique among the threads and processes of this machine, hidden from a plain listing, and no longer than a file
/// system allows.
fs::path temporary_name(const fs::path& path) {
  static std::atomic<int> counter{0};
  return path.parent_path() /
         fmt::format(".{}{}{}-{}", path.filename().string().substr(0, 200), kMark, ::getpid(), ++counter);
}

/// The number N of a path /proc/self/fd/N, by whatever links to that folder; -1 for all others.
int own_descriptor(const fs::path& path) {
  std::error_code failure;
  const fs::path folder = fs::canonical(path.parent_path(), failure);
  if (failure || folder != fmt::format("/proc/{}/fd", ::getpid())) return -1;
  const std::string name = path.filename().string();
  int number = -1;
  const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc{} && stop == name.data() + name.size() ? number : -1;
}

/// Where a chain of links ends: at what is no link, need not exist, or is a descriptor of this process.
fs::path follow_links(fs::path path) {
  std::error_code failure;
  constexpr int most = 40;  // as many as the kernel follows
  for (int i = 0; i < most && own_descriptor(path) < 0 && fs::is_symlink(path, failure); ++i)
    path = path.parent_path() / fs::read_symlink(path, failure);
  return path;
}

/// Opens a new file for writing: without a name where the system has such files, so that nothing stays behind of a
/// process that is killed; else `name`, in the same folder. -1: it cannot be made.
int open_new(const fs::path& name) {
  const fs::path folder = name.parent_path();
  const bool can_be_named = ::access("/proc/self/fd", X_OK) == 0;
  const int unnamed =
      can_be_named ? ::open(folder.empty() ? "." : folder.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0666) : -1;
  if (unnamed >= 0) return unnamed;
  return ::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
}

/// Makes `descriptor` that of a copy with a name.
bool copy_to(const fs::path& name, int& descriptor, const struct stat& status) {
  const int copy = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (copy < 0) return false;
  off_t at = 0;
  ssize_t copied = 1;
  while (at < status.st_size && copied > 0) copied = ::sendfile(copy, descriptor, &at, 1 << 30);
  if (copied == 0) errno = EIO;  // there is less than there was
  const bool whole =
      at == status.st_size && ::fchmod(copy, status.st_mode & 07777) == 0 && ::fsync(copy) == 0;
  const int reason = errno;
  ::close(std::exchange(descriptor, copy));
  errno = reason;
  return whole;
}

/// Gives a file of open_new its name, if it has none yet. Where none can be given to what is there, a copy has it.
bool take_name(int& descriptor, const fs::path& name) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return false;
  if (status.st_nlink > 0) return true;
  ::unlink(name.c_str());  // of a process that was killed and had the same number
  const std::string self = fmt::format("/proc/self/fd/{}", descriptor);
  return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0 ||
         copy_to(name, descriptor, status);
}

void remove_empty(const std::vector<fs::path>& folders) {
  for (const fs::path& folder : folders) ::rmdir(folder.c_str());  // fails where something is in it
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

/// The system's reason, and what can be done about it.
std::string with_hint(int reason) {
  const std::string text = std::strerror(reason);
  if (reason != EMFILE) return text;
  return fmt::format("{}\nhint: {} may be open here (ulimit -n); allow more", text, ::sysconf(_SC_OPEN_MAX));
}

}  // namespace

void cannot_read(const std::string& message, int reason) {
  constexpr std::array of_paths{ENOENT, ENOTDIR, EISDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG, EINVAL};
  const std::string line = fmt::format("{}: {}", message, with_hint(reason));
  if (std::ranges::find(of_paths, reason) != of_paths.end()) throw UserError(line);
  throw Error(line);
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

Descriptor open_regular(const fs::path& path) {
  regular_file_size(path);
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) cannot_read(fmt::format("cannot open '{}'", path.string()), errno);
  return file;
}

fs::file_status status_of(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::none)
    cannot_read(fmt::format("cannot look at '{}'", path.string()), error.value());
  return status;
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    found.push_back(it->path());
  }
  if (error && error != std::errc::no_such_file_or_directory)
    cannot_read(fmt::format("cannot read the folder '{}'", folder.string()), error.value());
  std::ranges::sort(found, {}, &fs::path::native);
  return found;
}

int64_t regular_file_size(const fs::path& path) {
  const fs::file_status status = status_of(path);
  if (!fs::exists(status)) user_error(fmt::format("'{}' does not exist", path.string()));
  if (!fs::is_regular_file(status)) user_error(fmt::format("'{}' is not a regular file", path.string()));
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) cannot_read(fmt::format("cannot read '{}'", path.string()), error.value());
  return static_cast<int64_t>(size);
}

std::vector<std::byte> read_file(const fs::path& path, int64_t max_bytes) {
  InputFile file(path);
  if (file.size() > max_bytes)
    user_error(fmt::format("'{}' has {} bytes; at most {} are accepted here", path.string(), file.size(),
                           max_bytes));
  return file.read(0, file.size());
}

InputFile::InputFile(fs::path path) : path_(std::move(path)), descriptor_(open_regular(path_)) {
  struct stat status {};
  if (::fstat(descriptor_.number(), &status) != 0)
    cannot_read(fmt::format("cannot read '{}'", path_.string()), errno);
  size_ = status.st_size;
}

void InputFile::check_range(int64_t at, int64_t bytes) const {
  if (at >= 0 && bytes >= 0 && at <= size_ && bytes <= size_ - at) return;
  user_error(fmt::format("'{}' has {} bytes, too few for {} from {} on", path_.string(), size_, bytes, at),
             "the file is damaged or cut off; get it again");
}

void InputFile::read(int64_t at, std::span<std::byte> to) {
  const auto bytes = static_cast<int64_t>(to.size());
  check_range(at, bytes);
  int64_t done = 0;
  while (done < bytes) {  // once, as a rule
    const ssize_t got =
        ::pread(descriptor_.number(), to.data() + done, static_cast<size_t>(bytes - done), at + done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) cannot_read(fmt::format("cannot read '{}'", path_.string()), errno);
    if (got == 0)
      user_error(fmt::format("read only {} of {} bytes of '{}'", done, bytes, path_.string()),
                 "it was shortened while it was read");
    done += got;
  }
}

std::vector<std::byte> InputFile::read(int64_t at, int64_t bytes) {
  check_range(at, bytes);
  std::vector<std::byte> out(static_cast<size_t>(bytes));
  read(at, out);
  return out;
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), target_(follow_links(path_)) {
  struct stat status {};
  const bool exists = ::stat(path_.c_str(), &status) == 0;
  if (!exists && errno != ENOENT) fail("create");
  if (target_.filename().empty() || (exists && S_ISDIR(status.st_mode))) fail("create", EISDIR);
  if (exists && ::access(path_.c_str(), W_OK) != 0) fail("write");
  // What holds no file of its own is only written to: a device, a pipe, what the shell has made of standard output.
  if (own_descriptor(target_) >= 0 || (exists && !S_ISREG(status.st_mode))) return;
  temporary_ = temporary_name(target_);
  descriptor_ = open_new(temporary_);
  if (descriptor_ < 0) fail("create");
  if (exists) ::fchmod(descriptor_, status.st_mode & 07777);  // where that fails, it is a file as any other
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

/// Not before there is something to write: a pipe is opened when its other end is.
void AtomicFile::open_special() {
  const int own = own_descriptor(target_);
  if (own == STDOUT_FILENO) std::fflush(stdout);
  descriptor_ = own >= 0 ? ::fcntl(own, F_DUPFD_CLOEXEC, 0) : ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail("open");
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (descriptor_ < 0) open_special();
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void AtomicFile::commit() {
  const bool special = temporary_.empty();
  if (descriptor_ < 0) open_special();
  // Pipes and devices have nothing to flush, and say so.
  if (::fsync(descriptor_) != 0 && !special) fail("write");
  if (!special && !take_name(descriptor_, temporary_)) fail("create");
  // close() too can report a failed write (network file systems); the descriptor is gone either way.
  if (::close(std::exchange(descriptor_, -1)) != 0) fail("write");
  if (special) return;
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail("create");
  temporary_.clear();
  if (!sync_folder(target_.parent_path())) fail("flush the folder of");
}

void AtomicFile::fail(const char* what, int reason) const {
  throw Error(fmt::format("cannot {} '{}': {}", what, path_.string(), with_hint(reason ? reason : errno)));
}

OutputFolder::OutputFolder(fs::path path) : path_(std::move(path)) {
  std::error_code failure;
  for (fs::path place = fs::absolute(path_, failure);
       place.has_relative_path() && !fs::exists(place, failure); place = place.parent_path()) {
    made_.push_back(place);
  }
  fs::create_directories(path_, failure);
  if (!failure) return;
  remove_empty(made_);
  throw Error(fmt::format("cannot create the folder '{}': {}", path_.string(), failure.message()));
}

OutputFolder::~OutputFolder() { remove_empty(made_); }

FolderLock::FolderLock(const std::filesystem::path& folder, IfHeld if_held)
    : descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) cannot_read(fmt::format("cannot read the folder '{}'", folder.string()), errno);
  for (int tries = 0; tries < 10; ++tries) {  // who only asks holds it for a moment, see is_held
    if (tries > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    // Where a file system knows no locks, the folder is as free as it was.
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  }
  if (if_held == IfHeld::wait) {
    ::flock(descriptor_, LOCK_EX);
    return;
  }
  ::close(descriptor_);
  user_error(fmt::format("another process is at work in {}", folder.string()),
             "wait for it, or stop it first");
}

FolderLock::~FolderLock() { ::close(descriptor_); }

bool FolderLock::is_held(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool held = ::flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(descriptor);
  return held;
}

void remove_unfinished_files(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code failure;  // what cannot be looked at or removed does no harm
  for (const auto& entry : fs::directory_iterator(folder, failure)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".") && name.find(kMark) != std::string::npos) found.push_back(entry.path());
  }
  for (const fs::path& file : found) fs::remove(file, failure);
}

bool is_standard_output(const fs::path& path) { return own_descriptor(follow_links(path)) == STDOUT_FILENO; }

void atomic_write_file(const fs::path& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace damc
