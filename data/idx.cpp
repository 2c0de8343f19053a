#include "data/idx.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <span>
#include <string>

#include "data/gzip.h"
#include "tensor/error.h"
#include "tensor/io/file.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t kUnsignedByteMagic = 0x00000800;  // the rank is added

std::uint32_t big_endian(std::span<const std::uint8_t, 4> b) {
  return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 |
         std::uint32_t{b[3]};
}

}  // namespace

Idx read_idx(const fs::path& path, int rank) {
  GzipReader in(path);
  std::uint8_t word[4];
  in.read(word);
  const std::uint32_t expected = kUnsignedByteMagic + static_cast<std::uint32_t>(rank);
  if (const std::uint32_t magic = big_endian(word); magic != expected) {
    user_error(
        fmt::format("'{}' starts with {:#010x}, not with {:#010x} (IDX, unsigned bytes, {} dimensions)",
                    path.string(), magic, expected, rank),
        "check that the file is what its name says");
  }
  Idx array;
  std::int64_t total = 1;
  for (int d = 0; d < rank; ++d) {
    in.read(word);
    const std::int64_t size = big_endian(word);
    array.sizes.push_back(size);
    if (size == 0 || size > in.max_size() / total) {
      user_error(fmt::format("'{}': its header claims sizes [{}{}], which {} bytes of file cannot hold",
                             path.string(), fmt::join(array.sizes, ", "), d + 1 < rank ? ", ..." : "",
                             regular_file_size(path)),
                 "download the file again");
    }
    total *= size;
  }
  array.bytes.resize(static_cast<std::size_t>(total));
  in.read(array.bytes);
  in.expect_end();
  return array;
}

void write_idx(const fs::path& path, const std::vector<std::int64_t>& sizes,
               std::span<const std::uint8_t> bytes) {
  std::int64_t total = 1;
  std::vector<std::uint8_t> header{0, 0, 8, static_cast<std::uint8_t>(sizes.size())};
  for (const std::int64_t size : sizes) {
    ENSURE(0 < size && size <= std::numeric_limits<std::uint32_t>::max(), "write_idx: a size of {}", size);
    for (const int shift : {24, 16, 8, 0}) header.push_back(static_cast<std::uint8_t>(size >> shift));
    total *= size;
  }
  ENSURE(total == static_cast<std::int64_t>(bytes.size()), "write_idx: {} bytes for sizes [{}]", bytes.size(),
         fmt::join(sizes, ", "));
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(header)));
  file.write(std::as_bytes(bytes));
  file.commit();
}

}  // namespace damc
