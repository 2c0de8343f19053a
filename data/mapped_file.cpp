#include "data/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "data/mapped_bytes.h"
#include "tensor/error.h"
#include "tensor/io/file.h"

namespace damc {

namespace {

/// A descriptor that closes itself; the mapping outlives it.
struct Descriptor {
  int number;
  ~Descriptor() { close(number); }
};

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  regular_file_size(path);
  const auto fail = [&] {
    user_error(fmt::format("cannot read '{}': {}", path.string(), std::strerror(errno)));
  };
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status {};
  if (file.number < 0 || fstat(file.number, &status) != 0) fail();
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return;
  void* const address = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.number, 0);
  if (address == MAP_FAILED) fail();
  bytes_ = {static_cast<const std::byte*>(address), size};
  watch_mapped(bytes_, path.string());
}

MappedFile::~MappedFile() {
  if (bytes_.empty()) return;
  unwatch_mapped(bytes_);
  munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace damc
