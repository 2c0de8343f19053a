#include "data/mapped_file.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "data/mapped_bytes.h"
#include "tensor/error.h"
#include "tensor/io/file.h"

namespace damc {

MappedFile::MappedFile(const std::filesystem::path& path) {
  const auto fail = [&] { cannot_read(fmt::format("cannot read '{}'", path.string()), errno); };
  const Descriptor file = open_regular(path);  // the mapping outlives it
  struct stat status {};
  if (fstat(file.number(), &status) != 0) fail();
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return;
  void* const address = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.number(), 0);
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
