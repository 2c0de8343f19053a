/// Image files in memory: PNG and JPEG of every kind against Pillow, and damaged and hostile files, made here.
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

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

// Written by Pillow.

/// An 8x8 JPEG file: red grows by 30 a column, green by 30 a row, blue by 15 with both.
std::string small_jpeg() {
  return from_hex(
      "ffd8ffe000104a46494600010100000100010000ffdb0043000d090a0b0a080d0b0a0b0e0e0d0f13201513121213271c1e17"
      "202e2931302e292d2c333a4a3e333646372c2d405741464c4e525352323e5a615a50604a51524fffdb0043010e0e0e131113"
      "261515264f352d354f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f"
      "4f4f4f4f4f4f4f4fffc00011080008000803011100021101031101ffc40014000100000000000000000000000000000004ff"
      "c4001910000105000000000000000000000000000005062232a1ffc40014010100000000000000000000000000000000ffc4"
      "001811000301010000000000000000000000000002052131ffda000c03010002110311003f000a4b72b0c08e26d2e69fffd9");
}

/// 16x8 pixels whose columns alternate, with half as many columns of colour differences (4:2:2).
std::string striped_jpeg() {
  return from_hex(
      "ffd8ffe000104a46494600010100000100010000ffdb0043000a07070807060a0808080b0a0a0b0e18100e0d0d0e1d151611"
      "18231f2524221f2221262b372f26293429212230413134393b3e3e3e252e4449433c48373d3e3bffdb0043010a0b0b0e0d0e"
      "1c10101c3b2822283b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b"
      "3b3b3b3b3b3b3b3bffc00011080008001003012100021101031101ffc4001500010100000000000000000000000000000305"
      "ffc4001e1000000407000000000000000000000000000304210225324454b3c3ffc400150101010000000000000000000000"
      "0000000304ffc4001c1100010305000000000000000000000000010022b10205314181ffda000c03010002110311003f0080"
      "94997a66b249bca0d1135b66f0129b73b1b3090d6ee985ffd9");
}

/// 8x8 pixels of cyan, magenta, yellow and black, with Adobe's marker first.
std::string cmyk_jpeg() {
  return from_hex(
      "ffd8ffee000e41646f626500640000000000ffdb0043000d090a0b0a080d0b0a0b0e0e0d0f13201513121213271c1e17202e"
      "2931302e292d2c333a4a3e333646372c2d405741464c4e525352323e5a615a50604a51524fffc00014080008000804431100"
      "4d11005911004b1100ffc4001500010100000000000000000000000000000406ffc4002310000102020b0000000000000000"
      "000000000511030406121516212231436381a1ffda000e0443004d0059004b00003f00753ddcec75f7e5f4bd988fae24721a"
      "2da3572bb9ffd9");
}

/// 24x8 gray pixels, with a restart marker after each block of 8x8.
std::string restarting_jpeg() {
  return from_hex(
      "ffd8ffe000104a46494600010100000100010000ffdb0043000d090a0b0a080d0b0a0b0e0e0d0f13201513121213271c1e17"
      "202e2931302e292d2c333a4a3e333646372c2d405741464c4e525352323e5a615a50604a51524fffc0000b08000800180101"
      "1100ffc4001500010100000000000000000000000000000603ffc40017100003010000000000000000000000000000020531"
      "ffdd00040001ffda0008010100003f00112d70ffd08cb5c3ffd1572d70ffd9");
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

TEST_CASE("PNG files without their last parts, or with empty ones, are read as Pillow reads them") {
  const std::string whole = png_file(1, 5, 8, 0, false, "", std::string("\0\1\2\3\4\5", 6));
  const Bytes pixels{1, 2, 3, 4, 5};
  const std::string end = png_chunk("IEND", ""), empty = png_chunk("IDAT", "");
  CHECK(decode(replaced(whole, end, empty + end)).pixels == pixels);
  CHECK(decode(replaced(whole, end, "")).pixels == pixels);
  CHECK(decode(whole + "trailing").pixels == pixels);
  // Checksums of what is not needed, a gamma, a text.
  const std::string header_end = whole.substr(8, 25);
  const auto with = [&](const std::string& chunk) { return replaced(whole, header_end, header_end + chunk); };
  CHECK(decode(with(png_chunk("gAMA", std::string("\0\0\xb1\x8f", 4)))).pixels == pixels);
  CHECK(decode(with(png_chunk("tRNS", std::string("\0\1", 2)))).pixels == pixels);
  CHECK(decode(with(replaced(png_chunk("tEXt", "Title"), "Title", "Titlf"))).pixels == pixels);
}

TEST_CASE("damaged and hostile PNG files are refused") {
  const std::vector<std::byte> bytes =
      encode_png(Bytes{1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 144}, 2, 2, 3);
  const std::string png(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const size_t needed = png.size() - 12 - 4;  // without the end's chunk and the checksum before it
  for (size_t size = 0; size < needed; ++size) refused(png.substr(0, size), "cannot decode");
  for (size_t i = 0; i < needed; ++i) {
    std::string flipped = png;
    flipped[i] ^= 4;
    CAPTURE(i);
    refused(flipped, "a file");
  }
  refused(png.substr(0, 8) + png_chunk("IEND", "") + png.substr(8), "cannot decode");
  refused(replaced(png, png_chunk("IEND", "").substr(4, 4), "QQQQ").insert(33, png_chunk("QQQQ", "")),
          "critical chunk");

  // 10000 x 10000 pixels: refused by their number, before anything is allocated for them.
  refused(png_file(10000, 10000, 8, 0, false, "", ""), "10000x10000");
  refused(png_file(0, 1, 8, 0, false, "", ""), "cannot decode");
  refused(png_file(1, 1, 2, 2, false, "", ""), "bit depth");
  refused(png_file(1, 1, 8, 0, false, "", ""), "ends too early");
}

/// The CRC-32 of the pixels as RGB.
uLong crc_of(const std::string& file) {
  const Images image = decode(file);
  Bytes rgb;
  for (const uint8_t value : image.pixels) rgb.insert(rgb.end(), image.channels == 1 ? 3 : 1, value);
  return crc32_z(0, rgb.data(), rgb.size());
}

TEST_CASE("JPEG files of all kinds decode to what Pillow makes of them, to the last bit") {
  const std::string jpeg = small_jpeg(), end = "\xff\xd9", table = "\xff\xc4";
  const Images image = decode(jpeg);
  CHECK((image.height == 8 && image.width == 8 && image.channels == 3));
  CHECK(crc_of(jpeg) == 0x1743c5b4);
  CHECK(crc_of(striped_jpeg()) == 0x44869920);
  CHECK(crc_of(restarting_jpeg()) == 0xf7d8c5d6);

  const std::string cmyk = cmyk_jpeg(), adobe = cmyk.substr(2, 16);
  const std::string transformed = adobe.substr(0, 15) + "\2";
  CHECK(decode(cmyk).channels == 3);
  CHECK(crc_of(cmyk) == 0x76448d0f);
  CHECK(crc_of(replaced(cmyk, adobe, "")) == 0x76448d0f);
  CHECK(crc_of(replaced(cmyk, adobe, transformed)) == 0x99dff1d3);  // YCCK

  // Junk between segments, restart markers too many, and markers of an interval that nothing announces.
  CHECK(crc_of(replaced(jpeg, table, "junk" + table)) == 0x1743c5b4);
  CHECK(crc_of(replaced(jpeg, end, "\xff\xd0" + end)) == 0x1743c5b4);
  CHECK(crc_of(replaced(jpeg, end, "\xff\xd3" + end)) == 0x1743c5b4);
  CHECK(crc_of(jpeg + "trailing") == 0x1743c5b4);
  const std::string interval("\xff\xdd\x00\x04\x00\x01", 6);
  CHECK(crc_of(replaced(restarting_jpeg(), interval, "")) == 0xa1725693);

  // Which colours the components are: by JFIF's marker, by Adobe's, by their names, in this order.
  const std::string jfif = jpeg.substr(2, 18), ycc = adobe.substr(0, 15) + "\1";
  std::string named = jpeg;
  const size_t frame = named.find(std::string("\xff\xc0\x00", 3)),
               scan = named.find(std::string("\xff\xda\x00", 3));
  for (size_t c = 0; c < 3; ++c) named[frame + 10 + 3 * c] = named[scan + 5 + 2 * c] = "RGB"[c];
  CHECK(crc_of(named) == 0x1743c5b4);
  CHECK(crc_of(replaced(named, jfif, ycc)) == 0x1743c5b4);
  CHECK(crc_of(replaced(named, jfif, "")) == 0x8358dad1);
  CHECK(crc_of(replaced(jpeg, jfif, adobe)) == 0x8358dad1);
}

TEST_CASE("damaged and hostile JPEG files are refused") {
  const std::string jpeg = small_jpeg();
  for (size_t size = 0; size < jpeg.size() - 2; ++size) refused(jpeg.substr(0, size), "cannot decode");

  // Segments: a marker, a length, and for a Huffman table its kind and the numbers of codes of 1 to 16 bits.
  const std::string huffman("\xff\xc4\x00", 3), quantization("\xff\xdb\x00", 3), frame("\xff\xc0\x00", 3),
      scan("\xff\xda\x00", 3), end("\xff\xd9");
  const auto with_counts = [&](const std::string& counts) {
    std::string bytes = jpeg;
    return bytes.replace(bytes.find(huffman) + 5, 16, counts);
  };
  refused(with_counts(std::string(16, '\xff')), "Huffman table");
  refused(with_counts(std::string("\2", 1) + std::string(15, '\0')), "Huffman table");
  // A segment that is taken for a comment is gone.
  const std::string comment("\xff\xfe\x00", 3);
  CHECK(crc_of(replaced(jpeg, huffman, comment)) ==
        0x2c24fc34);  // as in motion JPEG, the usual table is meant
  refused(replaced(jpeg, quantization, comment), "Quantization table");
  refused(replaced(jpeg, frame, comment), "cannot decode");
  refused(replaced(jpeg, frame + "\x11\x08", frame + "\x11\x0c"), "12");
  refused(replaced(restarting_jpeg(), std::string("\x18\x01\x01\x11\x00", 5),
                   std::string("\x18\x00\x01\x11\x00", 5)),
          "cannot decode");
  // 32767 x 32767 pixels, and two colours.
  refused(replaced(jpeg, std::string("\x08\x00\x08\x00\x08", 5), "\x08\x7f\xff\x7f\xff"), "32767x32767");
  refused(replaced(restarting_jpeg(), std::string("\x00\x0b\x08\x00\x08\x00\x18\x01\x01\x11\x00", 11),
                   std::string("\x00\x0e\x08\x00\x08\x00\x18\x02\x01\x11\x00\x02\x11\x00", 14)),
          "2 colour components");

  std::string many_scans;
  for (int i = 0; i < 101; ++i) many_scans += jpeg.substr(jpeg.find(scan), jpeg.size() - 2 - jpeg.find(scan));
  refused(replaced(replaced(jpeg, frame, std::string("\xff\xc2\x00", 3)), end, many_scans + end),
          "cannot decode");
}

TEST_CASE("a GIF file's transparent pixels keep their colours, as Pillow's; mirrored TGA is refused") {
  const std::string start =
      from_hex("47494638396102000100800000ff00000000ff");  // of 2 x 1 pixels, red and blue
  const std::string image = from_hex("2c0000000002000100000202440a003b");
  const auto decode_as = [](const std::string& file, const char* name) {
    return decode_image(std::as_bytes(std::span(file)), name);
  };
  const Images opaque = decode_as(start + image, "a.gif");
  CHECK(opaque.pixels == Bytes{255, 0, 0, 0, 0, 255});
  for (const char* transparent : {"21f9040100000000", "21f9040100000100", "21fe036162630021f9040d0a000100"}) {
    CAPTURE(transparent);
    CHECK(decode_as(start + from_hex(transparent) + image, "a.gif").pixels == opaque.pixels);
  }
  for (const char* cut : {"21", "21f9", "21f904", "21feff61"}) {
    CHECK_THROWS_AS(decode_as(start + from_hex(cut), "a.gif"), UserError);
  }
  // One pixel more at the left, which this image leaves out: of the colour that is transparent, else of the first.
  const std::string wide = from_hex("47494638396103000100800100ff00000000ff"),
                    data = from_hex("0202440a003b");
  const std::string right = from_hex("2c010000000200010000"),
                    own = from_hex("2c01000000020001008000ff00ffff00");
  CHECK(decode_as(wide + right + data, "a.gif").pixels == Bytes{255, 0, 0, 255, 0, 0, 0, 0, 255});
  CHECK(decode_as(wide + own + data, "a.gif").pixels == Bytes{0, 255, 0, 0, 255, 0, 255, 255, 0});
  const std::string blue = from_hex("21f9040100000100"), none = from_hex("21f9040100000900");
  CHECK(decode_as(wide + blue + right + data, "a.gif").pixels == Bytes{0, 0, 255, 255, 0, 0, 0, 0, 255});
  CHECK(decode_as(wide + none + right + data, "a.gif").pixels == Bytes{0, 0, 0, 255, 0, 0, 0, 0, 255});
  std::string tga = from_hex("0000020000000000000000000200010018200000ffff0000");
  CHECK(decode_as(tga, "a.Tga").pixels == opaque.pixels);
  tga[17] = 0x30;
  CHECK_THROWS_WITH_AS(decode_as(tga, "a.tga"), doctest::Contains("from right to left"), UserError);
}

TEST_CASE("BMP, PPM, PGM, TGA and GIF are read; what ends too early or is too large is refused") {
  // 4x3 pixels: red grows by 60 a column, green by 90 a row, blue by 20 times both. Written by Pillow.
  const Bytes pixels{0,   0,  0,  60,  0,  0,  120, 0,   0, 180, 0,   0,  0,   90,  0,  60,  90,  20,
                     120, 90, 40, 180, 90, 60, 0,   180, 0, 60,  180, 40, 120, 180, 80, 180, 180, 120};
  const std::string ppm = "P6 4#a comment\n3 255\n" + std::string(pixels.begin(), pixels.end());
  const std::string bmp = from_hex(
      "424d5a0000000000000036000000280000000400000003000000010018000000000024000000c40e0000c40e00000000000000"
      "00000000b40028b43c50b47878b4b4005a00145a3c285a783c5ab400000000003c0000780000b4");
  const std::string tga = from_hex(
      "00000a0000000000000000000400030020080300b400ff28b43cff50b478ff78b4b4ff03005a00ff145a3cff285a78ff3c5ab4"
      "ff"
      "03000000ff00003cff000078ff0000b4ff");
  const std::string gif = from_hex(
      "47494638376104000300830000b4b47878b4503cb428b45a3c785a283c5a1400b400005a00b400007800003c00000000000000"
      "00"
      "0000000000000000002c00000000040003000008100017284880e0400102030c0808002020003b");
  struct Row {
    const std::string& file;
    const char* name;
    size_t unneeded;  // bytes at the end
  };
  for (const Row& row : {Row{ppm, "a.jpg", 0}, {bmp, "a", 0}, {tga, "a.tga", 0}, {gif, "a", 1}}) {
    CAPTURE(row.name);
    const auto decode_first = [&](size_t size) {
      return decode_image(std::as_bytes(std::span(row.file).first(size)), row.name);
    };
    const Images image = decode_first(row.file.size());
    CHECK((image.height == 3 && image.width == 4 && image.channels == 3 && image.pixels == pixels));
    for (size_t size = 0; size + row.unneeded < row.file.size(); ++size)
      CHECK_THROWS_WITH_AS(decode_first(size), doctest::Contains("cannot decode"), UserError);
  }
  const Images gray = decode("P5\n2 1\n255\n\7\11");
  CHECK((gray.channels == 1 && gray.pixels == Bytes{7, 9}));
  refused(ppm.substr(0, ppm.size() - 1), "ends too early");
  refused("P6 2 1 1023\n" + std::string(12, 'x'), "255");
  refused(from_hex("89504e470d0a1a0a0000000d494844527fffffff7fffffff08020000009bab9c31"), "more pixels than");
  refused("P3 1 1 255\n1 2 3", "neither PNG");
  refused(tga, "neither PNG");  // nothing but the name tells
  refused("P6 20000 20000 255\n", "20000x20000");
  refused("P6 4294967297 1 255\nabc", "cannot decode");
  refused(std::string("RIFF\x10\0\0\0WEBPVP8 ", 16), "ends too early");
  refused(std::string("MM\0*\0\0\0\10", 8), "but TIFF");
  refused(std::string("\0\0\0\x1c"
                      "ftypavif",
                      12),
          "but AVIF");
  refused("", "an empty file");
  refused("<html>", "something else");
}
