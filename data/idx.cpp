#include "data/idx.h"

#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <span>
#include <string>

#include "tensor/error.h"
#include "tensor/file.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr uint32_t unsigned_byte_magic = 0x00000800;  // the rank is added
constexpr int64_t max_deflate_ratio = 1032;           // what zlib's format can reach at best

uint32_t big_endian(std::span<const uint8_t, 4> b) {
  return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | uint32_t{b[3]};
}

/// Sequential reading through zlib, which passes plain files through unchanged.
class GzipReader {
 public:
  explicit GzipReader(const fs::path& path)
      : name_(path.string()), file_size_(regular_file_size(path)), file_(gzopen(path.c_str(), "rb")) {
    if (!file_) user_error(fmt::format("cannot open '{}'", name_));
  }

  /// Fills all of `out` or throws.
  void read(std::span<uint8_t> out) {
    while (!out.empty()) {
      const size_t chunk = std::min(out.size(), size_t{1} << 30);
      const int got = gzread(file_.get(), out.data(), static_cast<unsigned>(chunk));
      if (got <= 0) fail();
      out = out.subspan(static_cast<size_t>(got));
    }
  }

  /// Upper bound of what the whole file can unpack to; exact for a plain file.
  int64_t max_size() { return gzdirect(file_.get()) ? file_size_ : file_size_ * max_deflate_ratio; }

  /// Throws unless everything has been read and gzip's checksum holds (zlib checks it on reaching the end).
  void expect_end() {
    uint8_t extra = 0;
    const int got = gzread(file_.get(), &extra, 1);
    if (got > 0)
      user_error(fmt::format("'{}' holds more bytes than its IDX header says", name_),
                 "download the file again");
    int code = Z_OK;
    gzerror(file_.get(), &code);
    if (got < 0 || code != Z_OK) fail();
  }

 private:
  [[noreturn]] void fail() {
    int code = Z_OK;
    std::string reason = gzerror(file_.get(), &code);
    if (reason.starts_with(name_ + ": ")) reason.erase(0, name_.size() + 2);
    user_error(code == Z_OK || code == Z_BUF_ERROR
                   ? fmt::format("'{}' is truncated: it ends within its data ({} bytes)", name_, file_size_)
                   : fmt::format("'{}' is damaged: {}", name_, reason),
               "download the file again");
  }

  struct Close {
    void operator()(gzFile file) const { gzclose_r(file); }
  };
  std::string name_;
  int64_t file_size_;
  std::unique_ptr<gzFile_s, Close> file_;
};

}  // namespace

Idx read_idx(const fs::path& path, int rank) {
  GzipReader in(path);
  uint8_t word[4];
  in.read(word);
  const uint32_t expected = unsigned_byte_magic + static_cast<uint32_t>(rank);
  if (const uint32_t magic = big_endian(word); magic != expected)
    user_error(
        fmt::format("'{}' starts with {:#010x}, not with {:#010x} (IDX, unsigned bytes, {} dimensions)",
                    path.string(), magic, expected, rank),
        "check that the file is what its name says");
  Idx array;
  int64_t total = 1;
  for (int d = 0; d < rank; ++d) {
    in.read(word);
    const int64_t size = big_endian(word);
    array.sizes.push_back(size);
    if (size == 0 || size > in.max_size() / total)
      user_error(fmt::format("'{}': its header claims sizes [{}{}], which {} bytes of file cannot hold",
                             path.string(), fmt::join(array.sizes, ", "), d + 1 < rank ? ", ..." : "",
                             regular_file_size(path)),
                 "download the file again");
    total *= size;
  }
  array.bytes.resize(static_cast<size_t>(total));
  in.read(array.bytes);
  in.expect_end();
  return array;
}

void write_idx(const fs::path& path, const Idx& array) {
  int64_t total = 1;
  std::vector<uint8_t> header{0, 0, 8, static_cast<uint8_t>(array.sizes.size())};
  for (const int64_t size : array.sizes) {
    ENSURE(0 < size && size <= std::numeric_limits<uint32_t>::max(), "write_idx: a size of {}", size);
    for (const int shift : {24, 16, 8, 0}) header.push_back(static_cast<uint8_t>(size >> shift));
    total *= size;
  }
  ENSURE(total == static_cast<int64_t>(array.bytes.size()), "write_idx: {} bytes for sizes [{}]",
         array.bytes.size(), fmt::join(array.sizes, ", "));
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(header)));
  file.write(std::as_bytes(std::span(array.bytes)));
  file.commit();
}

}  // namespace damc
