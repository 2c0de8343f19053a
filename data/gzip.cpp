#include "data/gzip.h"

#include <algorithm>

#include "tensor/error.h"
#include "tensor/io/file.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr int64_t max_deflate_ratio = 1032;  // what zlib's format can reach at best

}  // namespace

GzipReader::GzipReader(const fs::path& path)
    : name_(path.string()), file_size_(regular_file_size(path)), file_(gzopen(path.c_str(), "rb")) {
  if (!file_) user_error(fmt::format("cannot open '{}'", name_));
}

void GzipReader::read(std::span<uint8_t> out) {
  if (read_some(out) < out.size()) fail();
}

size_t GzipReader::read_some(std::span<uint8_t> out) {
  size_t n = 0;
  while (n < out.size()) {
    const size_t chunk = std::min(out.size() - n, size_t{1} << 30);
    const int got = gzread(file_.get(), out.data() + n, static_cast<unsigned>(chunk));
    if (got < 0) fail();
    if (got == 0) break;
    n += static_cast<size_t>(got);
  }
  return n;
}

void GzipReader::expect_end() {
  uint8_t extra = 0;
  const int got = gzread(file_.get(), &extra, 1);
  if (got > 0)
    user_error(fmt::format("'{}' holds more bytes than its header says", name_), "download the file again");
  int code = Z_OK;
  gzerror(file_.get(), &code);
  if (got < 0 || code != Z_OK) fail();  // zlib compares the checksum on reaching the end
}

int64_t GzipReader::max_size() { return gzdirect(file_.get()) ? file_size_ : file_size_ * max_deflate_ratio; }

void GzipReader::fail() {
  int code = Z_OK;
  std::string reason = gzerror(file_.get(), &code);
  if (reason.starts_with(name_ + ": ")) reason.erase(0, name_.size() + 2);
  user_error(code == Z_OK || code == Z_BUF_ERROR
                 ? fmt::format("'{}' is truncated: it ends within its data ({} bytes)", name_, file_size_)
                 : fmt::format("'{}' is damaged: {}", name_, reason),
             "download the file again");
}

std::vector<uint8_t> read_gzip(const fs::path& path, int64_t max_bytes) {
  constexpr size_t piece = size_t{1} << 24;
  GzipReader in(path);
  std::vector<uint8_t> bytes;
  for (size_t got = piece; got == piece;) {
    const size_t had = bytes.size();
    bytes.resize(had + piece);
    got = in.read_some(std::span(bytes).subspan(had));
    bytes.resize(had + got);
    if (static_cast<int64_t>(bytes.size()) > max_bytes)
      user_error(fmt::format("'{}' has more than {} bytes, unpacked", path.string(), max_bytes));
  }
  in.expect_end();
  return bytes;
}

}  // namespace damc
