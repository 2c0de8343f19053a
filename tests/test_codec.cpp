/// Image files in memory: PNG of every kind, JPEG against Pillow, and damaged and hostile files, made here.
#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "data/codec.h"
#include "tensor/error.h"

using namespace damc;

namespace {

using Bytes = std::vector<uint8_t>;

Images decode(const std::string& file) { return decode_image(std::as_bytes(std::span(file)), "a file"); }

void refused(const std::string& file, const char* reason) {
  CHECK_THROWS_WITH_AS(decode(file), doctest::Contains(reason), UserError);
}

/// Four bytes.
std::string big_endian(uint64_t value) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

/// A PNG chunk with its length and checksum.
std::string png_chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(body.data()), body.size());
  return big_endian(data.size()) + body + big_endian(crc);
}

/// A PNG file of these sizes, depth and colour type whose unfiltered rows are `rows`.
std::string png_file(uint32_t height, uint32_t width, char depth, char colour, bool interlaced,
                     const std::string& palette, const std::string& rows) {
  std::string pixels(compressBound(rows.size()), '\0');
  uLongf size = pixels.size();
  REQUIRE(compress(reinterpret_cast<Bytef*>(pixels.data()), &size,
                   reinterpret_cast<const Bytef*>(rows.data()), rows.size()) == Z_OK);
  pixels.resize(size);
  const std::string kind{depth, colour, 0, 0, static_cast<char>(interlaced)};
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", big_endian(width) + big_endian(height) + kind) +
         (palette.empty() ? "" : png_chunk("PLTE", palette)) + png_chunk("IDAT", pixels.substr(0, 5)) +
         png_chunk("IDAT", pixels.substr(5)) + png_chunk("tEXt", "Title") + png_chunk("IEND", "");
}

/// An 8x8 JPEG file: red grows by 30 a column, green by 30 a row, blue by 15 with both. Written by Pillow.
std::string small_jpeg() {
  const std::string hex =
      "ffd8ffe000104a46494600010100000100010000ffdb0043000d090a0b0a080d0b0a0b0e0e0d0f13201513121213271c1e17"
      "202e2931302e292d2c333a4a3e333646372c2d405741464c4e525352323e5a615a50604a51524fffdb0043010e0e0e131113"
      "261515264f352d354f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f"
      "4f4f4f4f4f4f4f4fffc00011080008000803011100021101031101ffc40014000100000000000000000000000000000004ff"
      "c4001910000105000000000000000000000000000005062232a1ffc40014010100000000000000000000000000000000ffc4"
      "001811000301010000000000000000000000000002052131ffda000c03010002110311003f000a4b72b0c08e26d2e69fffd9";
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

/// `text` with `to` in place of the first `from`.
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

}  // namespace

TEST_CASE("PNG files of all kinds: alpha is dropped, 16 bits become 8, palettes and interlacing are undone") {
  const auto bytes = [](std::initializer_list<int> values) {
    return std::string(values.begin(), values.end());
  };
  const auto check = [](const std::string& file, int64_t channels, const Bytes& pixels) {
    const Images image = decode(file);
    CHECK((image.channels == channels && image.pixels == pixels));
  };
  check(png_file(1, 2, 8, 4, false, "", bytes({0, 10, 99, 20, 0})), 1, {10, 20});
  check(png_file(1, 2, 8, 6, false, "", bytes({0, 1, 2, 3, 0, 4, 5, 6, 9})), 3, {1, 2, 3, 4, 5, 6});
  check(png_file(1, 2, 16, 0, false, "", bytes({0, 1, -1, 2, 0})), 1, {1, 2});
  check(png_file(1, 9, 1, 0, false, "", bytes({0, 0x28, -128})), 1, {0, 0, 255, 0, 255, 0, 0, 0, 255});
  const std::string palette = bytes({1, 2, 3, 4, 5, 6});
  check(png_file(2, 1, 4, 3, false, palette, bytes({0, 0x10, 0, 0})), 3, {4, 5, 6, 1, 2, 3});
  // Adam7 sends the pixels of this row as 0; 4; 2; 1 3.
  check(png_file(1, 5, 8, 0, true, "", bytes({0, 10, 0, 14, 0, 12, 0, 11, 13})), 1, {10, 11, 12, 13, 14});
}

TEST_CASE("damaged and hostile PNG files are refused") {
  const std::vector<std::byte> bytes =
      encode_png(Bytes{1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 144}, 2, 2, 3);
  const std::string png(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (size_t size = 0; size < png.size(); ++size) refused(png.substr(0, size), "cannot decode");
  for (size_t i = 0; i < png.size(); ++i) {
    std::string flipped = png;
    flipped[i] ^= 4;
    refused(flipped, "cannot decode");
  }
  refused(png.substr(0, 8) + png_chunk("IEND", "") + png.substr(8), "not at the start");
  refused(replaced(png, png_chunk("IEND", ""), png_chunk("QQQQ", "") + png_chunk("IEND", "")),
          "unknown type");

  // 10000 x 10000 pixels: refused by their number, before anything is allocated for them.
  refused(png_file(10000, 10000, 8, 0, false, "", ""), "10000x10000");
  refused(png_file(0, 1, 8, 0, false, "", ""), "no pixels");
  refused(png_file(1, 1, 2, 2, false, "", ""), "2 bits and colour type 2");
  // A pixel that unpacks to a megabyte, and one that unpacks to nothing.
  refused(png_file(1, 1, 8, 0, false, "", std::string(1 << 20, '\0')), "compressed pixels");
  refused(png_file(1, 1, 8, 0, false, "", ""), "not enough pixels");
}

TEST_CASE("JPEG files decode to what Pillow makes of them") {
  const Images image = decode(small_jpeg());
  CHECK((image.height == 8 && image.width == 8 && image.channels == 3));
  const auto differs_by = [&](int64_t row, int64_t column, const Bytes& expected) {
    int most = 0;  // decoders may round differently
    for (size_t c = 0; c < 3; ++c)
      most =
          std::max(most, std::abs(image.pixels[static_cast<size_t>(row * 8 + column) * 3 + c] - expected[c]));
    return most;
  };
  CHECK(differs_by(7, 0, {0, 211, 108}) <= 2);
  CHECK(differs_by(0, 7, {215, 0, 103}) <= 2);
  CHECK(differs_by(4, 2, {70, 120, 91}) <= 2);
}

TEST_CASE("damaged and hostile JPEG files are refused") {
  const std::string jpeg = small_jpeg();
  for (size_t size = 0; size < jpeg.size(); ++size) refused(jpeg.substr(0, size), "cannot decode");

  // Segments: a marker, a length, and for a Huffman table its kind and the numbers of codes of 1 to 16 bits.
  const std::string huffman("\xff\xc4\x00", 3), quantization("\xff\xdb\x00", 3), frame("\xff\xc0\x00", 3),
      scan("\xff\xda\x00", 3);
  const auto with_counts = [&](const std::string& counts) {
    std::string bytes = jpeg;
    return bytes.replace(bytes.find(huffman) + 5, 16, counts);
  };
  refused(with_counts(std::string(16, '\xff')), "too many codes");
  refused(with_counts(std::string("\2", 1) + std::string(15, '\0')), "too many codes");
  refused(with_counts(std::string(8, '\0') + "\xff\x02" + std::string(6, '\0')), "too many codes");
  // A segment that is taken for a comment is gone.
  const std::string comment("\xff\xfe\x00", 3);
  refused(replaced(jpeg, huffman, comment), "a Huffman table is missing");
  refused(replaced(jpeg, quantization, comment), "a quantization table is missing");
  refused(replaced(jpeg, frame, comment), "wrong colour components");
  refused(replaced(jpeg, scan, comment), "marker is missing");
  refused(replaced(jpeg, frame, std::string("\xff\xc9\x00", 3)), "marker c9");
  refused(replaced(jpeg, frame + "\x11", frame + "\x10"), "cannot decode");
  refused(replaced(jpeg, frame + "\x11\x08", frame + "\x11\x0c"), "12");
  // A scan of the first colour component alone, and one of three of which two are the same.
  const std::string selection("\x00\x0c\x03\x01\x00\x02\x11\x03\x11", 9);
  refused(replaced(jpeg, selection, std::string("\x00\x08\x01\x01\x00", 5)), "a colour component is missing");
  refused(replaced(jpeg, selection, replaced(selection, "\x03\x11", "\x02\x11")), "wrong colour components");

  // Restart markers after every block: the image has one block, so that there is none.
  const std::string interval("\xff\xdd\x00\x04\x00\x01", 6);
  CHECK(decode(replaced(jpeg, scan, interval + scan)).pixels == decode(jpeg).pixels);
  const std::string end = "\xff\xd9";
  refused(replaced(jpeg, end, "\xff\xd0" + end), "1 restart markers instead of 0");
  refused(replaced(jpeg, end, "\xff\xd3" + end), "not in order");

  std::string many_scans;
  for (int i = 0; i < 101; ++i) many_scans += jpeg.substr(jpeg.find(scan), jpeg.size() - 2 - jpeg.find(scan));
  refused(replaced(jpeg, end, many_scans + end), "more than 100 scans");
}
