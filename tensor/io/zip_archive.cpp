#include "tensor/io/zip_archive.h"

#include <zip.h>
#include <zlib.h>

#include <cstring>
#include <limits>

#include "tensor/error.h"
#include "tensor/text.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostRatio = 64, kAlwaysAllowed = std::int64_t{64} << 20;
constexpr std::uint32_t kIsInZip64 = 0xffffffff;

/// A number in the little-endian bytes that zip's records are made of.
template <class T>
std::string bytes_of(T number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}
std::string u16(std::uint64_t number) { return bytes_of(static_cast<std::uint16_t>(number)); }
std::string u32(std::uint64_t number) { return bytes_of(static_cast<std::uint32_t>(number)); }
std::string u64(std::uint64_t number) { return bytes_of(number); }

/// A field of 32 bits, or the mark that its value is in the zip64 extension.
std::string short_form(std::uint64_t number) { return u32(number < kIsInZip64 ? number : kIsInZip64); }

/// Whether the system failed; a place that cannot be gone to is one that a damaged file names.
bool is_of_system(zip_error_t* error) {
  return zip_error_system_type(error) == ZIP_ET_SYS && zip_error_code_zip(error) != ZIP_ER_SEEK;
}

}  // namespace

void ZipArchive::Close::operator()(zip* archive) const { zip_discard(archive); }

void ZipArchive::refuse(const std::string& reason) const {
  user_error(fmt::format("'{}': {}", path_.string(), reason), "the file is damaged or cut off; get it again");
}

ZipArchive::ZipArchive(const fs::path& path) : path_(path) {
  const std::int64_t file_size = regular_file_size(path);
  int code = 0;
  archive_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (!archive_) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const bool of_system = is_of_system(&error);
    const int system = zip_error_code_system(&error);
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    if (of_system) cannot_read(fmt::format("cannot open '{}'", path.string()), system);
    refuse("not a whole zip archive: " + reason);
  }
  std::int64_t allowed = kAlwaysAllowed, total = 0;
  if (file_size < std::numeric_limits<std::int64_t>::max() / kMostRatio - kAlwaysAllowed)
    allowed += kMostRatio * file_size;
  const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
  for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
    zip_stat_t entry;
    zip_stat_init(&entry);
    if (zip_stat_index(archive_.get(), i, ZIP_FL_ENC_RAW, &entry) != 0 || !(entry.valid & ZIP_STAT_NAME) ||
        !(entry.valid & ZIP_STAT_SIZE))
      refuse(fmt::format("entry {} cannot be read", i));
    const auto size = static_cast<std::int64_t>(entry.size);
    if (size < 0 || __builtin_add_overflow(total, size, &total) || total > allowed)
      refuse(fmt::format("its entries unpack to more than {} bytes, too many for a file of {}", allowed,
                         file_size));
    if (!sizes_.emplace(entry.name, size).second)
      refuse(fmt::format("two entries are named {}", in_quotes(entry.name)));
  }
}

std::vector<std::byte> ZipArchive::read(const std::string& name) const {
  const auto found = sizes_.find(name);
  if (found == sizes_.end()) refuse(fmt::format("there is no entry {}", in_quotes(name)));
  const auto fail = [&](zip_error_t* error) {
    if (is_of_system(error))
      cannot_read(fmt::format("cannot read '{}'", path_.string()), zip_error_code_system(error));
    refuse(fmt::format("entry {} cannot be read: {}", in_quotes(name), zip_error_strerror(error)));
  };
  const auto close = [](zip_file_t* file) { zip_fclose(file); };
  const std::unique_ptr<zip_file_t, decltype(close)> file(
      zip_fopen(archive_.get(), name.c_str(), ZIP_FL_ENC_RAW), close);
  if (!file) fail(zip_get_error(archive_.get()));
  // One byte more is asked for: at the end libzip compares the checksum.
  const auto size = static_cast<std::size_t>(found->second);
  std::vector<std::byte> content(size + 1);
  std::size_t done = 0;
  while (done <= size) {
    const zip_int64_t got = zip_fread(file.get(), content.data() + done, content.size() - done);
    if (got < 0) fail(zip_file_get_error(file.get()));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  if (done != size) refuse(fmt::format("entry {} does not have its {} bytes", in_quotes(name), size));
  content.resize(size);
  return content;
}

void ZipWriter::write(const std::string& bytes) {
  file_.write(std::as_bytes(std::span(bytes)));
  position_ += bytes.size();
}

void ZipWriter::add(const std::string& name, std::span<const std::byte> content) {
  const std::uint64_t size = content.size(), begin = position_;
  const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
  const bool large = size >= kIsInZip64;
  // Version needed, flags (names are UTF-8), method: stored, time and date (1980-01-01), checksum, sizes.
  const std::string common = u16(large ? 45 : 20) + u16(1 << 11) + u16(0) + u16(0) + u16(0x21) + u32(crc) +
                             short_form(size) + short_form(size) + u16(name.size());
  std::string extra = large ? u16(1) + u16(16) + u64(size) + u64(size) : "";
  const std::uint64_t unpadded = begin + 4 + common.size() + 2 + name.size() + extra.size() + 4;
  const std::uint64_t padding = (64 - unpadded % 64) % 64;
  extra += "FB" + u16(padding) + std::string(padding, '\0');
  write("PK\3\4" + common + u16(extra.size()) + name + extra);
  file_.write(content);
  position_ += size;

  std::string wide = large ? u64(size) + u64(size) : "";
  if (begin >= kIsInZip64) wide += u64(begin);
  if (!wide.empty()) wide = u16(1) + u16(wide.size()) + wide;
  // After the name's length: those of the extension and the comment, disk, attributes, where the entry is.
  directory_ += "PK\1\2" + u16(45) + common + u16(wide.size()) + u16(0) + u16(0) + u16(0) + u32(0) +
                short_form(begin) + name + wide;
  ++entries_;
}

void ZipWriter::finish() {
  const std::uint64_t begin = position_, size = directory_.size();
  write(directory_);
  const std::uint64_t end = position_;
  // Always with the zip64 record, so that any number of entries may be there.
  write("PK\6\6" + u64(44) + u16(45) + u16(45) + u32(0) + u32(0) + u64(entries_) + u64(entries_) + u64(size) +
        u64(begin));
  write("PK\6\7" + u32(0) + u64(end) + u32(1));
  const std::uint64_t few = std::min<std::uint64_t>(entries_, 0xffff);
  write("PK\5\6" + u16(0) + u16(0) + u16(few) + u16(few) + short_form(size) + short_form(begin) + u16(0));
}

}  // namespace damc
