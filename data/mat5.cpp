#include "data/mat5.h"

#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <new>
#include <span>

#include "tensor/error.h"
#include "tensor/io/file.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::int64_t kMaxFileBytes = std::int64_t{4} << 30;
constexpr std::int64_t kMaxDeflateRatio = 1032;  // what zlib can reach at best
constexpr std::size_t kHeaderSize = 128;
constexpr std::string_view kHdf5Signature = "\x89HDF\r\n\x1a\n";

// The format's numbers for types of data and classes of arrays.
constexpr std::uint32_t kTypeMatrix = 14, kTypeCompressed = 15;
constexpr std::uint32_t kFirstNumericClass = 6, kLogicalFlag = 0x200, kComplexFlag = 0x800;
constexpr std::array<std::string_view, 10> kNumericClasses{"double", "single", "int8",   "uint8", "int16",
                                                           "uint16", "int32",  "uint32", "int64", "uint64"};

/// What a number type of the file is here; calls visit(T{}) and returns whether there is such a type.
template <typename Visit>
bool with_type(int type, const Visit& visit) {
  switch (type) {
    case 1:
      visit(std::int8_t{});
      return true;
    case 2:
      visit(std::uint8_t{});
      return true;
    case 3:
      visit(std::int16_t{});
      return true;
    case 4:
      visit(std::uint16_t{});
      return true;
    case 5:
      visit(std::int32_t{});
      return true;
    case 6:
      visit(std::uint32_t{});
      return true;
    case 7:
      visit(float{});
      return true;
    case 9:
      visit(double{});
      return true;
    case 12:
      visit(std::int64_t{});
      return true;
    case 13:
      visit(std::uint64_t{});
      return true;
    default:
      return false;
  }
}

std::size_t type_size(int type) {
  std::size_t size = 0;
  with_type(type, [&](auto example) { size = sizeof example; });
  return size;
}

void reverse_each(std::span<std::byte> bytes, std::size_t size) {
  for (std::size_t i = 0; i + size <= bytes.size(); i += size) std::ranges::reverse(bytes.subspan(i, size));
}

/// Thrown inside this file: an element that is not as the format wants it.
struct Malformed {};

/// The content of an element, front to back: as it lies in the file, or unpacked by zlib.
class Content {
 public:
  Content(std::span<const std::byte> bytes, bool packed) : bytes_(bytes), packed_(packed) {
    if (!packed) return;
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));  // zlib does not write to it
    z_.avail_in = static_cast<uInt>(bytes.size());  // sizes in the file have 32 bits
    if (inflateInit(&z_) != Z_OK) throw std::bad_alloc();
  }
  ~Content() {
    if (packed_) inflateEnd(&z_);
  }
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;

  /// Fills `out`. Throws Malformed when there is less.
  void read(std::span<std::byte> out) {
    if (read_some(out) < out.size()) throw Malformed{};
  }

  /// Reads the rest. Throws Malformed unless it is whole and its checksum holds.
  void finish() {
    std::array<std::byte, 1 << 14> discarded;
    while (read_some(discarded) > 0) continue;
    if (packed_ && (code_ != Z_STREAM_END || z_.avail_in != 0)) throw Malformed{};
  }

  /// No more than this can come.
  std::int64_t most() const {
    return static_cast<std::int64_t>(bytes_.size()) * (packed_ ? kMaxDeflateRatio : 1);
  }

 private:
  std::size_t read_some(std::span<std::byte> out) {
    if (packed_) {
      z_.next_out = reinterpret_cast<Bytef*>(out.data());
      z_.avail_out = static_cast<uInt>(out.size());
      while (code_ == Z_OK && z_.avail_out > 0) code_ = inflate(&z_, Z_NO_FLUSH);
      return out.size() - z_.avail_out;
    }
    const std::size_t n = std::min(out.size(), bytes_.size());
    if (n > 0) std::memcpy(out.data(), bytes_.data(), n);
    bytes_ = bytes_.subspan(n);
    return n;
  }

  std::span<const std::byte> bytes_;
  bool packed_;
  z_stream z_{};
  int code_ = Z_OK;
};

/// Takes a matrix apart, whose parts are elements themselves.
class MatrixReader {
 public:
  MatrixReader(Content& content, bool swapped) : content_(content), swapped_(swapped) {}

  std::uint32_t number() {
    std::array<std::byte, 4> bytes;
    content_.read(bytes);
    if (swapped_) std::ranges::reverse(bytes);
    return std::bit_cast<std::uint32_t>(bytes);
  }

  /// A part of at most `limit` bytes, and its type. Parts of up to four bytes may be packed into their tag.
  std::pair<std::uint32_t, std::vector<std::byte>> part(std::int64_t limit) {
    const std::uint32_t word = number();
    const bool small = word >> 16 != 0;
    const std::uint32_t type = word & 0xffff, size = small ? word >> 16 : number();
    if (size > limit || (small && size > 4)) throw Malformed{};
    std::vector<std::byte> bytes(size);
    content_.read(bytes);
    std::array<std::byte, 8> padding;
    content_.read(std::span(padding).first(small ? 4 - size : (8 - size % 8) % 8));
    if (swapped_) reverse_each(bytes, type_size(static_cast<int>(type)));
    return {type, std::move(bytes)};
  }

 private:
  Content& content_;
  bool swapped_;
};

std::vector<std::uint32_t> words(const std::vector<std::byte>& bytes) {
  std::vector<std::uint32_t> out(bytes.size() / 4);
  if (!out.empty()) std::memcpy(out.data(), bytes.data(), out.size() * 4);
  return out;
}

class MatFile {
 public:
  MatFile(const fs::path& path, const std::string& hint)
      : path_(path), hint_(hint), file_(read_file(path, kMaxFileBytes)) {
    const std::string_view text(reinterpret_cast<const char*>(file_.data()), file_.size());
    if (text.starts_with(kHdf5Signature) ||
        text.substr(std::min(text.size(), std::size_t{512})).starts_with(kHdf5Signature)) {
      user_error(fmt::format("'{}' is a MATLAB 7.3 file (HDF5), which is not read", path.string()),
                 "save it in the older format: in MATLAB save(..., '-v7'), in Python scipy.io.savemat");
    }
    const std::string_view order = text.substr(std::min(text.size(), kHeaderSize - 2), 2);
    const std::size_t major = order == "IM" ? 125 : 124;
    if ((order != "IM" && order != "MI") || text[major] != 1) bad("is not a MATLAB 5 file");
    swapped_ = order == "MI";
  }

  std::vector<MatArray> read(const std::vector<std::string_view>& names) {
    std::vector<MatArray> found;
    for (std::size_t at = kHeaderSize; at < file_.size();) {
      const std::span left = std::span(file_).subspan(at);
      Content tag(left.first(std::min(left.size(), std::size_t{8})), false);
      MatrixReader reader(tag, swapped_);
      const std::uint32_t type = left.size() < 8 ? 0 : reader.number(),
                          size = left.size() < 8 ? 0 : reader.number();
      if (left.size() < 8 || size > left.size() - 8) {
        bad(fmt::format("is truncated: its {} bytes end within an element", file_.size()));
      }
      try {
        read_element(type, left.subspan(8, size), names, found);
      } catch (const Malformed&) {
        bad(fmt::format("is damaged: its element at byte {} cannot be read", at));
      }
      at += 8 + size;
    }
    return found;
  }

 private:
  [[noreturn]] void bad(const std::string& what) const {
    user_error(fmt::format("'{}' {}", path_.string(), what), hint_);
  }

  void read_element(std::uint32_t type, std::span<const std::byte> bytes,
                    const std::vector<std::string_view>& names, std::vector<MatArray>& found) {
    Content content(bytes, type == kTypeCompressed);
    if (type == kTypeCompressed) {
      MatrixReader reader(content, swapped_);
      type = reader.number();
      reader.number();  // its size, which the stream's end tells, too
    }
    if (type != kTypeMatrix) throw Malformed{};
    read_matrix(content, names, found);
    content.finish();
  }

  void read_matrix(Content& content, const std::vector<std::string_view>& names,
                   std::vector<MatArray>& found) {
    constexpr std::int64_t kShortPart = 1 << 16;
    MatrixReader reader(content, swapped_);
    const std::vector<std::uint32_t> flags = words(reader.part(kShortPart).second);
    const std::vector<std::uint32_t> sizes = words(reader.part(kShortPart).second);
    const std::vector<std::byte> name = reader.part(kShortPart).second;
    if (flags.empty()) throw Malformed{};
    MatArray array;
    array.name.assign(reinterpret_cast<const char*>(name.data()), name.size());
    array.sizes.assign(sizes.begin(), sizes.end());
    if (std::ranges::find(names, array.name) == names.end()) return;
    const std::uint32_t kind = flags[0] & 0xff;
    if (kind < kFirstNumericClass || kind >= kFirstNumericClass + kNumericClasses.size() ||
        flags[0] & kComplexFlag) {
      bad(fmt::format("holds {} as something else than real numbers", array.name));
    }
    array.kind = flags[0] & kLogicalFlag ? "logical" : kNumericClasses[kind - kFirstNumericClass];
    const bool is_empty = std::ranges::count(array.sizes, 0) > 0;
    std::int64_t room = content.most();  // in bytes, of which an element takes at least one
    for (const std::int64_t size : array.sizes) {
      if (size > room && !is_empty) {
        bad(fmt::format("claims {} elements for {}, which its {} bytes cannot hold",
                        fmt::join(array.sizes, " x "), array.name, file_.size()));
      }
      room /= std::max(size, std::int64_t{1});
    }
    auto [type, data] = reader.part(std::min(content.most(), 8 * array.numel()));
    array.stored_as = static_cast<int>(type);
    array.data = std::move(data);
    const std::size_t width = type_size(array.stored_as);
    if (width == 0 || array.data.size() != static_cast<std::size_t>(array.numel()) * width) throw Malformed{};
    found.push_back(std::move(array));
  }

  fs::path path_;
  std::string hint_;
  std::vector<std::byte> file_;
  bool swapped_ = false;
};

}  // namespace

std::int64_t MatArray::numel() const {
  if (std::ranges::count(sizes, 0) > 0) return 0;  // whatever the others are
  std::int64_t n = 1;
  for (const std::int64_t size : sizes) n *= size;
  return n;
}

std::vector<double> MatArray::numbers() const {
  std::vector<double> out;
  with_type(stored_as, [&](auto value) {
    for (std::size_t i = 0; i < data.size(); i += sizeof value) {
      std::memcpy(&value, data.data() + i, sizeof value);
      out.push_back(static_cast<double>(value));
    }
  });
  return out;
}

std::vector<MatArray> read_mat5(const fs::path& path, const std::vector<std::string_view>& names,
                                const std::string& hint) {
  return MatFile(path, hint).read(names);
}

}  // namespace damc
