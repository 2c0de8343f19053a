#include "data/image_check.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tensor/error.h"

namespace damc {

namespace {

constexpr std::array<uint8_t, 8> png_signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::array<uint8_t, 2> jpeg_signature{0xff, 0xd8};  // the marker "start of image"

/// Takes big-endian numbers and pieces off the front of a file, or of a part of one.
class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(&name) {}

  bool empty() const { return bytes_.empty(); }

  /// The next `n` bytes. Throws UserError when there are fewer.
  std::span<const std::byte> take(size_t n) {
    if (n > bytes_.size()) fail("it ends too early");
    const auto piece = bytes_.first(n);
    bytes_ = bytes_.subspan(n);
    return piece;
  }

  Reader part(size_t n) { return Reader(take(n), *name_); }

  uint32_t number(size_t n_bytes) {
    uint32_t value = 0;
    for (const std::byte b : take(n_bytes)) value = value << 8 | std::to_integer<uint32_t>(b);
    return value;
  }

  /// Throws UserError when something is left.
  void expect_end() const {
    if (!bytes_.empty()) fail("a part of it has the wrong length");
  }

  [[noreturn]] void fail(const std::string& reason) const { undecodable(*name_, reason); }

 private:
  std::span<const std::byte> bytes_;
  const std::string* name_;
};

/// The number that the four letters of a PNG chunk's type make.
constexpr uint32_t chunk_type(const char (&letters)[5]) {
  uint32_t type = 0;
  for (int i = 0; i < 4; ++i) type = type << 8 | static_cast<uint8_t>(letters[i]);
  return type;
}

ImageHeader png_header(Reader chunk) {
  const uint32_t width = chunk.number(4), height = chunk.number(4);
  const uint32_t depth = chunk.number(1), colour = chunk.number(1);
  const bool gray = colour == 0 || colour == 4, palette = colour == 3, rgb = colour == 2 || colour == 6;
  const bool small_depth = depth == 1 || depth == 2 || depth == 4;
  if (!(gray || palette || rgb) ||
      !(depth == 8 || (depth == 16 && !palette) || (small_depth && (colour == 0 || palette))))
    chunk.fail(fmt::format("PNG has no pixels of {} bits and colour type {}", depth, colour));
  return {height, width, gray ? 1 : 3};
}

/// A PNG file is a row of chunks: length, type, data, checksum. stb_image trusts the length, ignores the
/// checksum and, meeting a necessary chunk that it does not know, writes a message into memory that all
/// threads share.
ImageHeader check_png(std::span<const std::byte> bytes, const std::string& name) {
  Reader file(bytes, name);
  file.take(png_signature.size());
  ImageHeader header;
  for (bool first = true;; first = false) {
    const size_t length = file.number(4);
    const auto body = file.take(4 + length);
    if (crc32_z(0, reinterpret_cast<const Bytef*>(body.data()), body.size()) != file.number(4))
      file.fail("the checksum of a PNG chunk is wrong");
    Reader chunk(body, name);
    const uint32_t type = chunk.number(4);
    if (first != (type == chunk_type("IHDR"))) file.fail("its PNG header is not at the start");
    if (first) header = png_header(chunk);
    if (type == chunk_type("IEND")) return header;
    if (type == chunk_type("IDAT") && chunk.empty()) file.fail("an empty PNG chunk where pixels belong");
    const bool necessary = (type & 0x20000000) == 0;  // the first letter is a capital
    if (necessary && !first && type != chunk_type("PLTE") && type != chunk_type("IDAT"))
      file.fail("it has a necessary PNG chunk of unknown type");
  }
}

/// A JPEG file is a row of segments: a marker (ff and a code), a length, data. A scan has entropy-coded data
/// behind its segment, up to the next marker. What is refused here that stb_image 2.27 would take:
/// - a Huffman table of more codes than there are bytes, or than fit in their lengths: it writes past the end;
/// - the use of tables that were never defined, a colour component that no scan brings: it goes on with what
///   happens to be in memory;
/// - too few restart markers: it leaves the rest of the image as it is, without a word;
/// - thousands of scans: each takes time in proportion to the whole image, however short it is.
/// Lengths are checked so strictly because both must see the same segments.
class JpegCheck {
 public:
  JpegCheck(std::span<const std::byte> file, const std::string& name) : file_(file, name) {}

  ImageHeader run() {
    file_.take(jpeg_signature.size());
    for (uint32_t marker = next_marker(); marker != end_of_image;)
      if (marker == start_of_scan) {
        const int64_t restarts = scan_header(next_segment());
        marker = skip_scan_data(restarts);
      } else {
        read_segment(marker, next_segment());
        marker = next_marker();
      }
    if (components_.empty()) file_.fail("there is no image in it");
    for (const Component& component : components_)
      if (!component.decoded) file_.fail("a colour component is missing");
    return header_;
  }

 private:
  static constexpr uint32_t start_of_scan = 0xda, end_of_image = 0xd9;
  static constexpr int max_scans = 100;  // a progressive file usually has about ten

  struct Component {
    uint32_t id, across, down, quantization;  // across x down blocks in each minimum coded unit
    bool decoded = false;
  };

  uint32_t next_marker() {
    if (file_.number(1) != 0xff) file_.fail("a JPEG marker is missing");
    return marker_code();
  }

  /// The code after an ff; more of these may come in between.
  uint32_t marker_code() {
    uint32_t code = 0xff;
    while (code == 0xff) code = file_.number(1);
    return code;
  }

  Reader next_segment() {
    const uint32_t length = file_.number(2);  // with the two bytes of its own
    if (length < 2) file_.fail("a part of it has the wrong length");
    return file_.part(length - 2);
  }

  void read_segment(uint32_t marker, Reader segment) {
    const bool is_comment = (marker >= 0xe0 && marker <= 0xef) || marker == 0xfe;
    if (marker == 0xc4) {
      while (!segment.empty()) huffman_table(segment);
    } else if (marker == 0xdb) {
      while (!segment.empty()) quantization_table(segment);
    } else if (marker >= 0xc0 && marker <= 0xc2) {  // baseline, extended and progressive, Huffman-coded
      frame(segment, marker == 0xc2);
    } else if (marker == 0xdd) {
      restart_interval_ = segment.number(2);
      segment.expect_end();
    } else if (!is_comment) {
      file_.fail(fmt::format("JPEG marker {:02x} is unknown or not supported", marker));
    }
  }

  void huffman_table(Reader& segment) {
    const uint32_t kind = segment.number(1), is_ac = kind >> 4, index = kind & 15;
    if (is_ac > 1 || index > 3) file_.fail(fmt::format("there is no Huffman table {:02x}", kind));
    Reader counts = segment.part(16);
    uint32_t n = 0, code = 0;  // the code after the last one of `length` bits
    for (uint32_t length = 1; length <= 16; ++length) {
      const uint32_t count = counts.number(1);
      n += count;
      code = 2 * code + count;
      // Ones only are not allowed as a code, and 255 means "none" in stb_image's look-up.
      if (code >= 1u << length || n > 255) file_.fail("a Huffman table has too many codes");
    }
    segment.take(n);
    has_huffman_[is_ac][index] = true;
  }

  void quantization_table(Reader& segment) {
    const uint32_t kind = segment.number(1), bytes = (kind >> 4) + 1, index = kind & 15;
    if (bytes > 2 || index > 3) file_.fail(fmt::format("there is no quantization table {:02x}", kind));
    segment.take(size_t{64} * bytes);
    has_quantization_[index] = true;
  }

  void frame(Reader segment, bool progressive) {
    if (!components_.empty()) file_.fail("there are two images in it");
    progressive_ = progressive;
    const uint32_t bits = segment.number(1);
    header_.height = segment.number(2);
    header_.width = segment.number(2);
    const uint32_t n = segment.number(1);
    if (bits != 8 || (n != 1 && n != 3))
      file_.fail(
          fmt::format("only JPEG images of 8 bits and 1 or 3 colours are read, not of {} and {}", bits, n));
    header_.channels = n;
    for (uint32_t i = 0; i < n; ++i) {
      const uint32_t id = segment.number(1), sampling = segment.number(1), quantization = segment.number(1);
      const Component component{id, sampling >> 4, sampling & 15, quantization};
      const auto is_factor = [](uint32_t value) { return value >= 1 && value <= 4; };
      if (find(id) || !is_factor(component.across) || !is_factor(component.down) || quantization > 3)
        file_.fail("the description of its colour components is damaged");
      components_.push_back(component);
    }
    segment.expect_end();
  }

  Component* find(uint32_t id) {
    const auto found = std::ranges::find(components_, id, &Component::id);
    return found == components_.end() ? nullptr : &*found;
  }

  /// Returns how many restart markers belong into the scan's data.
  int64_t scan_header(Reader segment) {
    if (++n_scans_ > max_scans) file_.fail(fmt::format("it has more than {} scans", max_scans));
    const uint32_t n = segment.number(1);
    Reader selection = segment.part(size_t{2} * n);
    const uint32_t first = segment.number(1);  // coefficient
    segment.number(1);
    const bool refines = segment.number(1) >> 4 != 0;
    segment.expect_end();

    const bool reads_dc = !progressive_ || (first == 0 && !refines), reads_ac = !progressive_ || first > 0;
    std::vector<const Component*> scanned;
    while (!selection.empty()) {
      Component* component = find(selection.number(1));
      if (!component || std::ranges::count(scanned, component))
        file_.fail("a scan is of the wrong colour components");
      const uint32_t tables = selection.number(1), dc = tables >> 4, ac = tables & 15;
      if (dc > 3 || ac > 3 || (reads_dc && !has_huffman_[0][dc]) || (reads_ac && !has_huffman_[1][ac]))
        file_.fail("a Huffman table is missing");
      if (!has_quantization_[component->quantization]) file_.fail("a quantization table is missing");
      component->decoded |= reads_dc;
      scanned.push_back(component);
    }
    if (scanned.empty()) file_.fail("a scan is of the wrong colour components");
    return restart_interval_ == 0 ? 0 : (count_units(scanned) - 1) / restart_interval_;
  }

  /// Minimum coded units of a scan: of one component its blocks of 8x8; of several, groups of blocks.
  int64_t count_units(const std::vector<const Component*>& scanned) const {
    const auto ceil_div = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
    const int64_t across = std::ranges::max(components_, {}, &Component::across).across;
    const int64_t down = std::ranges::max(components_, {}, &Component::down).down;
    if (scanned.size() > 1) return ceil_div(header_.width, 8 * across) * ceil_div(header_.height, 8 * down);
    return ceil_div(ceil_div(header_.width * scanned[0]->across, across), 8) *
           ceil_div(ceil_div(header_.height * scanned[0]->down, down), 8);
  }

  /// Returns the marker after the scan's data. Inside, ff is followed by 0 (a byte ff is meant) or by the
  /// code of a restart marker, d0 to d7 in turn.
  uint32_t skip_scan_data(int64_t expected_restarts) {
    for (int64_t restarts = 0;;) {
      if (file_.number(1) != 0xff) continue;
      const uint32_t code = marker_code();
      if (code >= 0xd0 && code <= 0xd7) {
        if (code != 0xd0 + restarts % 8) file_.fail("its restart markers are not in order");
        ++restarts;
      } else if (code != 0) {
        if (restarts != expected_restarts)
          file_.fail(fmt::format("a scan has {} restart markers instead of {}", restarts, expected_restarts));
        return code;
      }
    }
  }

  Reader file_;
  ImageHeader header_;
  std::vector<Component> components_;
  std::array<std::array<bool, 4>, 2> has_huffman_{};  // of DC and AC coefficients
  std::array<bool, 4> has_quantization_{};
  uint32_t restart_interval_ = 0;  // in minimum coded units; 0: no restarts
  bool progressive_ = false;
  int n_scans_ = 0;
};

}  // namespace

void undecodable(const std::string& name, const std::string& reason) {
  user_error(fmt::format("cannot decode '{}': {}", name, reason),
             "only PNG and JPEG images are read; remove or replace this file");
}

ImageHeader check_image(std::span<const std::byte> file, const std::string& name) {
  const auto starts_with = [&](std::span<const uint8_t> signature) {
    return file.size() >= signature.size() &&
           std::ranges::equal(file.first(signature.size()), std::as_bytes(signature));
  };
  ImageHeader header;
  if (starts_with(png_signature))
    header = check_png(file, name);
  else if (starts_with(jpeg_signature))
    header = JpegCheck(file, name).run();
  else
    undecodable(name, "neither PNG nor JPEG");
  if (header.height == 0 || header.width == 0) undecodable(name, "it has no pixels");
  if (header.height > max_image_pixels / header.width)
    user_error(fmt::format("'{}' has {}x{} pixels; at most {} in all are accepted", name, header.height,
                           header.width, max_image_pixels));
  return header;
}

}  // namespace damc
