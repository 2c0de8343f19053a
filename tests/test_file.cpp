/// Where a written file goes: through links, onto devices and into pipes, and never half of it.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "messages.h"
#include "tensor/io/file.h"

using namespace damc;
namespace fs = std::filesystem;

namespace {

bool links_are_refused = false, copies_are_short = false;
int reading_fails = 0;  // with this reason

}  // namespace

/// As the system's, or as that of a file that loses its end.
extern "C" ssize_t sendfile(int to, int from, off_t* at, size_t bytes) noexcept {
  return copies_are_short ? 0 : ::syscall(SYS_sendfile, to, from, at, bytes);
}

/// As the system's, or as that of a disk that fails.
extern "C" ssize_t pread(int descriptor, void* to, size_t bytes, off_t at) {
  if (reading_fails == 0) return ::syscall(SYS_pread64, descriptor, to, bytes, at);
  errno = reading_fails;
  return -1;
}

/// As the system's, or as that of a file system without links.
extern "C" int linkat(int from, const char* name, int to, const char* other, int flags) noexcept {
  if (!links_are_refused) return static_cast<int>(::syscall(SYS_linkat, from, name, to, other, flags));
  errno = EPERM;
  return -1;
}

namespace {

struct TempFolder {
  TempFolder() { fs::create_directories(path); }
  ~TempFolder() { fs::remove_all(path); }
  fs::path operator/(const std::string& name) const { return path / name; }

  fs::path path = fs::temp_directory_path() / ("damc-test-file-" + std::to_string(::getpid()));
};

void write(const fs::path& file, const std::string& text) {
  atomic_write_file(file, std::as_bytes(std::span(text)));
}

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::ptrdiff_t entries(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

}  // namespace

TEST_CASE("a link is written through, and stays; the file is made in its own folder") {
  const TempFolder temp;
  fs::create_directory(temp / "far");
  fs::create_directory(temp / "links");
  write(temp / "far/there", "old");
  fs::create_symlink("../far/there", temp / "links/relative");
  fs::create_symlink(temp / "links/relative", temp / "links/chain");
  fs::create_symlink("../far/new", temp / "links/dangling");
  fs::create_directory_symlink("far", temp / "folder");
  for (const char* name : {"links/relative", "links/chain", "folder/there"}) {
    write(temp / name, name);
    CHECK(text_of(temp / "far/there") == name);
  }
  CHECK(fs::read_symlink(temp / "links/relative") == "../far/there");
  CHECK(fs::read_symlink(temp / "links/chain") == temp / "links/relative");
  write(temp / "links/dangling", "made");
  CHECK(fs::is_symlink(temp / "links/dangling"));
  CHECK(text_of(temp / "far/new") == "made");
  CHECK(entries(temp / "far") == 2);
  CHECK(entries(temp / "links") == 3);
  fs::create_symlink("loop", temp / "loop");
  CHECK_THROWS_AS(write(temp / "loop", "x"), Error);
}

TEST_CASE("a file that is replaced hands its mode on") {
  const TempFolder temp;
  write(temp / "a", "1");
  for (const unsigned mode : {0600u, 0664u, 0755u, 0640u}) {
    fs::permissions(temp / "a", static_cast<fs::perms>(mode));
    write(temp / "a", "2");
    CHECK(static_cast<unsigned>(fs::status(temp / "a").permissions()) == mode);
  }
}

TEST_CASE("a file that is not complete leaves nothing behind, however its process ends") {
  const TempFolder temp;
  const int known = ::open(temp.path.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
  if (known < 0) return;  // this file system has no files without names
  ::close(known);
  AtomicFile file(temp / "a");
  file.write(std::as_bytes(std::span("abc", 3)));
  CHECK(entries(temp.path) == 0);
  file.commit();
  CHECK(text_of(temp / "a") == "abc");
  CHECK(entries(temp.path) == 1);
  const auto mask = ::umask(0);
  ::umask(mask);
  CHECK(static_cast<unsigned>(fs::status(temp / "a").permissions()) == (0666u & ~mask));
}

TEST_CASE("where a file without a name can be given none, a copy has it") {
  const TempFolder temp;
  write(temp / "a", "old");
  fs::permissions(temp / "a", fs::perms{0640});
  links_are_refused = true;
  for (const std::string& text : {std::string("new"), std::string(), std::string(3 << 20, 'x')}) {
    write(temp / "a", text);
    CHECK(text_of(temp / "a") == text);
    CHECK(static_cast<unsigned>(fs::status(temp / "a").permissions()) == 0640u);
    CHECK(entries(temp.path) == 1);
  }
  copies_are_short = true;
  CHECK(contains(error_of([&] { write(temp / "a", "short"); }), "a': Input/output error"));
  copies_are_short = false;
  CHECK(entries(temp.path) == 1);
  links_are_refused = false;
}

TEST_CASE("what the machine is to blame for is no mistake of the user") {
  const TempFolder temp;
  write(temp / "file", "text");
  std::vector<Descriptor> open;  // all that may be
  while (open.empty() || open.back()) open.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  open.pop_back();
  const std::string message = error_of([&] { read_file(temp / "file", 9); });
  CHECK(contains(message, "cannot open '" + (temp / "file").string() + "': Too many open files\nhint: "));
  CHECK(contains(message, std::to_string(::sysconf(_SC_OPEN_MAX)) + " may be open here (ulimit -n)"));
  CHECK(contains(error_of([&] { write(temp / "file", "x"); }), "Too many open files\nhint: "));
  CHECK(contains(error_of([&] { entries_of(temp.path); }), "Too many open files\nhint: "));
  CHECK(contains(error_of([&] { const FolderLock lock(temp.path); }), "Too many open files\nhint: "));
  CHECK_THROWS_AS(read_file(temp / "none", 9), UserError);  // this much is known all the same
  CHECK_FALSE(blames_user([&] { read_file(temp / "file", 9); }));
  CHECK_FALSE(blames_user([&] { entries_of(temp.path); }));
  CHECK_FALSE(blames_user([&] { const FolderLock lock(temp.path); }));
  open.clear();
  InputFile file(temp / "file");
  for (const int reason : {EIO, ESTALE, ENOMEM}) {
    reading_fails = reason;
    CHECK(contains(error_of([&] { file.read(0, 4); }), std::strerror(reason)));
    CHECK_FALSE(blames_user([&] { file.read(0, 4); }));
  }
  reading_fails = 0;
  CHECK(file.read(0, 4).size() == 4);
  fs::resize_file(temp / "file", 3);
  CHECK(contains(error_of<UserError>([&] { file.read(0, 4); }), "read only 3 of 4 bytes"));
}

TEST_CASE("a folder for files is made; what is empty in the end does not stay, but what was there does") {
  const TempFolder temp;
  fs::create_directory(temp / "there");
  {
    const OutputFolder a(temp / "there/a/b"), b(temp / "there/a/c/"), there(temp / "there");
    CHECK((fs::is_directory(a.path()) && fs::is_directory(b.path())));
    write(b.path() / "file", "x");
  }
  CHECK(fs::exists(temp / "there/a/c/file"));
  CHECK(entries(temp / "there/a") == 1);
  fs::remove_all(temp / "there/a");
  { const OutputFolder a(temp / "there/a/b"), there(temp / "there"); }
  CHECK(entries(temp / "there") == 0);
  write(temp / "file", "x");
  CHECK(contains(error_of([&] { const OutputFolder a(temp / "file/b"); }), "/file/b': Not a directory"));
  const std::string long_name(300, 'n');
  CHECK(contains(error_of([&] { const OutputFolder a(temp / "there/a" / long_name); }), "name too long"));
  CHECK(entries(temp / "there") == 0);
}

TEST_CASE("devices and pipes are written to, not replaced") {
  const TempFolder temp;
  fs::create_symlink("/dev/null", temp / "null");
  for (const fs::path& file : {fs::path("/dev/null"), temp / "null"}) {
    write(file, "gone");
    CHECK(fs::is_character_file(file));
  }
  CHECK(contains(error_of([] { write("/dev/full", "x"); }), "cannot write '/dev/full': No space left"));
  CHECK(fs::is_character_file("/dev/full"));

  REQUIRE(::mkfifo((temp / "pipe").c_str(), 0600) == 0);
  std::string read;
  std::thread reader([&] { read = text_of(temp / "pipe"); });
  write(temp / "pipe", "through");
  reader.join();
  CHECK(read == "through");
  CHECK(fs::is_fifo(temp / "pipe"));
  { const AtomicFile unused(temp / "pipe"); }  // waits for nobody
  CHECK(entries(temp.path) == 2);
}

TEST_CASE("an open descriptor is written to at its place, by every name that it has") {
  const TempFolder temp;
  const int descriptor = ::open((temp / "open").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(descriptor >= 0);
  const std::string number = std::to_string(descriptor);
  fs::create_symlink("/dev/fd/" + number, temp / "link");
  write("/proc/self/fd/" + number, "one ");
  write("/dev/fd/" + number, "two ");
  write(temp / "link", "three");
  CHECK(text_of(temp / "open") == "one two three");
  CHECK(is_standard_output("/dev/stdout"));
  CHECK_FALSE(is_standard_output(temp / "link"));
  ::close(descriptor);
  CHECK_THROWS_AS(write("/proc/self/fd/" + number, "x"), Error);
}

TEST_CASE("a folder is held by one at a time, and one can ask") {
  const TempFolder temp;
  CHECK_FALSE(FolderLock::is_held(temp / "none"));
  const fs::path folder = temp / "held";
  fs::create_directory(folder);
  CHECK_FALSE(FolderLock::is_held(folder));
  {
    const FolderLock lock(folder);
    CHECK(FolderLock::is_held(folder));
    CHECK(contains(error_of([&] { const FolderLock second(folder); }), "another process is at work"));
  }
  CHECK_FALSE(FolderLock::is_held(folder));

  std::atomic<bool> held{false};
  std::thread waiting;
  {
    const FolderLock lock(folder);
    waiting = std::thread([&] {
      const FolderLock second(folder, FolderLock::IfHeld::wait);
      held = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK_FALSE(held);
  }
  waiting.join();
  CHECK(held);
  CHECK_FALSE(FolderLock::is_held(folder));
}

TEST_CASE("what cannot be is told before the first byte") {
  const TempFolder temp;
  fs::create_directory(temp / "folder");
  write(temp / "file", "x");
  const auto complaint = [](const fs::path& path) { return error_of([&] { const AtomicFile file(path); }); };
  CHECK(contains(complaint(temp / "folder"), "folder': Is a directory"));
  CHECK(contains(complaint(temp / "folder/"), "Is a directory"));
  CHECK(contains(complaint(temp / "file/a"), "Not a directory"));
  CHECK(contains(complaint(temp / "none/a"), "none/a': No such file"));
  CHECK(contains(complaint(temp / std::string(300, 'n')), "File name too long"));
  CHECK(contains(complaint("/proc/damc"), "cannot create '/proc/damc'"));
  const std::string longest(255, 'n');
  write(temp / longest, "y");
  CHECK(text_of(temp / longest) == "y");
  CHECK(entries(temp.path) == 3);
}
