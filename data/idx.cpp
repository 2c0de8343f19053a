#include "data/idx.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <utility>

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

std::int64_t product(const std::vector<std::int64_t>& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies());
}

/// Reads what stands before the elements. Their number does not overflow, and a file of this size may hold them.
std::vector<std::int64_t> read_sizes(GzipReader& in, const fs::path& path, int rank) {
  std::uint8_t word[4];
  in.read(word);
  const std::uint32_t expected = kUnsignedByteMagic + static_cast<std::uint32_t>(rank);
  if (const std::uint32_t magic = big_endian(word); magic != expected) {
    user_error(
        fmt::format("'{}' starts with {:#010x}, not with {:#010x} (IDX, unsigned bytes, {} dimensions)",
                    path.string(), magic, expected, rank),
        "check that the file is what its name says");
  }
  std::vector<std::int64_t> sizes;
  std::int64_t total = 1;
  for (int d = 0; d < rank; ++d) {
    in.read(word);
    const std::int64_t size = big_endian(word);
    sizes.push_back(size);
    if (size == 0 || size > in.max_size() / total) {
      user_error(fmt::format("'{}': its header claims sizes [{}{}], which {} bytes of file cannot hold",
                             path.string(), fmt::join(sizes, ", "), d + 1 < rank ? ", ..." : "",
                             regular_file_size(path)),
                 "download the file again");
    }
    total *= size;
  }
  return sizes;
}

std::vector<std::uint8_t> read_elements(GzipReader& in, const std::vector<std::int64_t>& sizes) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(product(sizes)));
  in.read(bytes);
  in.expect_end();
  return bytes;
}

}  // namespace

Idx read_idx(const fs::path& path, int rank) {
  GzipReader in(path);
  Idx array{read_sizes(in, path, rank), {}};
  array.bytes = read_elements(in, array.sizes);
  return array;
}

MappedIdx map_idx(const fs::path& path, int rank) {
  GzipReader in(path);
  std::vector<std::int64_t> sizes = read_sizes(in, path, rank);
  if (!in.is_plain()) {
    Pixels bytes = read_elements(in, sizes);
    return {std::move(sizes), std::move(bytes)};
  }
  auto file = std::make_shared<const MappedFile>(path);
  const std::size_t size = file->bytes().size(), header = 4 + 4 * sizes.size();
  const std::size_t expected = header + static_cast<std::size_t>(product(sizes));
  if (size != expected) {
    user_error(
        fmt::format("'{}' has {} bytes; by its header it should have {}", path.string(), size, expected),
        "make or download the file again");
  }
  return {std::move(sizes), Pixels(std::move(file), header)};
}

IdxWriter::IdxWriter(const fs::path& path, const std::vector<std::int64_t>& sizes) : file_(path) {
  std::vector<std::uint8_t> header{0, 0, 8, static_cast<std::uint8_t>(sizes.size())};
  for (const std::int64_t size : sizes) {
    ENSURE(0 < size && size <= std::numeric_limits<std::uint32_t>::max(), "write_idx: a size of {}", size);
    for (const int shift : {24, 16, 8, 0}) header.push_back(static_cast<std::uint8_t>(size >> shift));
  }
  missing_ = product(sizes);
  file_.write(std::as_bytes(std::span(header)));
}

void IdxWriter::write(std::span<const std::uint8_t> bytes) {
  missing_ -= static_cast<std::int64_t>(bytes.size());
  file_.write(std::as_bytes(bytes));
}

void IdxWriter::commit() {
  ENSURE(missing_ == 0, "write_idx: {} bytes fewer than the sizes say", missing_);
  file_.commit();
}

void write_idx(const fs::path& path, const std::vector<std::int64_t>& sizes,
               std::span<const std::uint8_t> bytes) {
  IdxWriter file(path, sizes);
  file.write(bytes);
  file.commit();
}

}  // namespace damc
