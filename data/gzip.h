/// Files that may be gzipped.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace damc {

/// Sequential reading through zlib, which passes plain files through unchanged. Throws UserError when the file is
/// missing, cut or damaged.
class GzipReader {
 public:
  explicit GzipReader(const std::filesystem::path& path);

  /// Fills all of `out` or throws.
  void read(std::span<std::uint8_t> out);
  /// Reads up to `out.size()` bytes, fewer only at the end.
  std::size_t read_some(std::span<std::uint8_t> out);
  /// Throws unless everything has been read and gzip's checksum holds.
  void expect_end();
  /// Whether the file is not gzipped.
  bool is_plain() { return gzdirect(file_.get()) != 0; }
  /// Upper bound of what the whole file can unpack to; exact for a plain file.
  std::int64_t max_size();

 private:
  [[noreturn]] void fail();

  struct Close {
    void operator()(gzFile file) const { gzclose_r(file); }
  };
  std::string name_;
  std::int64_t file_size_;
  std::unique_ptr<gzFile_s, Close> file_;
};

/// The whole file at `path`, unpacked. Throws UserError also when it has more than `max_bytes`.
std::vector<std::uint8_t> read_gzip(const std::filesystem::path& path, std::int64_t max_bytes);

}  // namespace damc
