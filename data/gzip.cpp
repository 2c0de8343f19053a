#include "data/gzip.h"

#include <algorithm>
#include <cerrno>

#include "tensor/error.h"
#include "tensor/io/file.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMaxDeflateRatio = 1032;  // what zlib's format can reach at best

}  // namespace

GzipReader::GzipReader(const fs::path& path)
    : name_(path.string()), file_size_(regular_file_size(path)), file_(gzopen(path.c_str(), "rb")) {
  if (!file_) cannot_read(fmt::format("cannot open '{}'", name_), errno);
}

void GzipReader::read(std::span<std::uint8_t> out) {
  if (read_some(out) < out.size()) fail();
}

std::size_t GzipReader::read_some(std::span<std::uint8_t> out) {
  std::size_t n = 0;
  while (n < out.size()) {
    const std::size_t chunk = std::min(out.size() - n, std::size_t{1} << 30);
    const int got = gzread(file_.get(), out.data() + n, static_cast<unsigned>(chunk));
    if (got < 0) fail();
    if (got == 0) break;
    n += static_cast<std::size_t>(got);
  }
  return n;
}

void GzipReader::expect_end() {
  std::uint8_t extra = 0;
  const int got = gzread(file_.get(), &extra, 1);
  if (got > 0) {
    user_error(fmt::format("'{}' holds more bytes than its header says", name_), "download the file again");
  }
  int code = Z_OK;
  gzerror(file_.get(), &code);
  if (got < 0 || code != Z_OK) fail();  // zlib compares the checksum on reaching the end
}

std::int64_t GzipReader::max_size() { return is_plain() ? file_size_ : file_size_ * kMaxDeflateRatio; }

void GzipReader::fail() {
  const int system = errno;
  int code = Z_OK;
  std::string reason = gzerror(file_.get(), &code);
  if (code == Z_ERRNO) cannot_read(fmt::format("cannot read '{}'", name_), system);
  if (reason.starts_with(name_ + ": ")) reason.erase(0, name_.size() + 2);
  user_error(code == Z_OK || code == Z_BUF_ERROR
                 ? fmt::format("'{}' is truncated: it ends within its data ({} bytes)", name_, file_size_)
                 : fmt::format("'{}' is damaged: {}", name_, reason),
             "download the file again");
}

std::vector<std::uint8_t> read_gzip(const fs::path& path, std::int64_t max_bytes) {
  constexpr std::size_t kPiece = std::size_t{1} << 24;
  GzipReader in(path);
  std::vector<std::uint8_t> bytes;
  for (std::size_t got = kPiece; got == kPiece;) {
    const std::size_t had = bytes.size();
    bytes.resize(had + kPiece);
    got = in.read_some(std::span(bytes).subspan(had));
    bytes.resize(had + got);
    if (static_cast<std::int64_t>(bytes.size()) > max_bytes) {
      user_error(fmt::format("'{}' has more than {} bytes, unpacked", path.string(), max_bytes));
    }
  }
  in.expect_end();
  return bytes;
}

}  // namespace damc
