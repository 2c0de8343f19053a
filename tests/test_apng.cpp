/// Animated PNG: the chunks are those of the specification, and every frame is the image that was given.
#include <doctest/doctest.h>
#include <zlib.h>

#include "data/apng.h"
#include "data/codec.h"
#include "data/image_io.h"
#include "tensor/error.h"
#include "tests/tensor_files.h"

using namespace damc;

namespace {

using Bytes = std::vector<std::byte>;

struct Chunk {
  std::string type;
  Bytes data;
};

std::uint32_t number(const Bytes& bytes, std::size_t at, std::size_t size = 4) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i)
    value = value << 8 | std::to_integer<std::uint32_t>(bytes.at(at + i));
  return value;
}

/// All chunks of a file; their checksums hold.
std::vector<Chunk> chunks_of(const Bytes& file) {
  std::vector<Chunk> chunks;
  for (std::size_t at = 8; at < file.size();) {
    const std::size_t size = number(file, at);
    REQUIRE(at + 12 + size <= file.size());
    const auto* checked = reinterpret_cast<const Bytef*>(&file[at + 4]);
    CHECK(number(file, at + 8 + size) == ::crc32(0, checked, static_cast<uInt>(size + 4)));
    const auto data = file.begin() + static_cast<std::ptrdiff_t>(at + 8);
    chunks.push_back({std::string(reinterpret_cast<const char*>(checked), 4),
                      Bytes(data, data + static_cast<std::ptrdiff_t>(size))});
    at += 12 + size;
  }
  return chunks;
}

Images picture(std::uint8_t first, std::int64_t channels) {
  std::vector<std::uint8_t> pixels;
  for (std::int64_t i = 0; i < 5 * 7 * channels; ++i)
    pixels.push_back(static_cast<std::uint8_t>(first + 3 * i));
  return {1, 5, 7, channels, pixels, {}};
}

/// The file's still frame, with other compressed pixels in it.
Bytes still(const Bytes& file, const Bytes& pixels) {
  Bytes png(file.begin(), file.begin() + 33);  // the signature and IHDR
  const auto append = [&](std::uint32_t n) {
    for (int shift = 24; shift >= 0; shift -= 8) png.push_back(static_cast<std::byte>(n >> shift));
  };
  for (const Chunk& chunk : {Chunk{"IDAT", pixels}, Chunk{"IEND", {}}}) {
    append(static_cast<std::uint32_t>(chunk.data.size()));
    const std::size_t begin = png.size();
    for (const char c : chunk.type) png.push_back(static_cast<std::byte>(c));
    png.insert(png.end(), chunk.data.begin(), chunk.data.end());
    append(static_cast<std::uint32_t>(
        ::crc32(0, reinterpret_cast<const Bytef*>(&png[begin]), static_cast<uInt>(png.size() - begin))));
  }
  return png;
}

}  // namespace

TEST_CASE("an animation holds its frames, in order and with their times") {
  const TempFile file;
  for (const std::int64_t channels : {1, 3}) {
    const std::vector<Images> frames = {picture(10, channels), picture(90, channels), picture(200, channels)};
    ApngWriter writer(file.path(), 3);
    for (std::size_t i = 0; i < frames.size(); ++i) writer.add(frames[i], 100 + static_cast<std::int64_t>(i));
    writer.commit();
    CHECK(read_image(file.path()).pixels == frames[0].pixels);  // readers of PNG show the first

    const Bytes bytes = read_file(file.path(), 1 << 20);
    const std::vector<Chunk> chunks = chunks_of(bytes);
    std::string types;
    for (const Chunk& chunk : chunks) types += chunk.type + " ";
    REQUIRE(types == "IHDR acTL fcTL IDAT fcTL fdAT fcTL fdAT IEND ");
    CHECK(number(chunks[1].data, 0) == 3);
    CHECK(number(chunks[1].data, 4) == 0);
    std::uint32_t sequence = 0;
    for (std::size_t frame = 0; frame < 3; ++frame) {
      const Bytes& control = chunks[2 + 2 * frame].data;
      REQUIRE(control.size() == 26);
      CHECK(number(control, 0) == sequence++);
      CHECK(number(control, 4) == 7);
      CHECK(number(control, 8) == 5);
      CHECK(number(control, 20, 2) == 100 + frame);
      CHECK(number(control, 22, 2) == 1000);
      Bytes pixels = chunks[3 + 2 * frame].data;
      if (frame > 0) {
        CHECK(number(pixels, 0) == sequence++);
        pixels.erase(pixels.begin(), pixels.begin() + 4);
      }
      CHECK(decode_image(still(bytes, pixels), "frame").pixels == frames[frame].pixels);
    }
  }
}

TEST_CASE("a frame of another shape, one too few and none at all are refused, and leave no file") {
  const TempFile file;
  const fs::path path = file.path().parent_path() / "refused.png";
  {
    ApngWriter writer(path, 2);
    writer.add(picture(1, 3), 10);
    CHECK_THROWS_AS(writer.add(picture(1, 1), 10), Error);
    CHECK_THROWS_AS(writer.commit(), Error);
  }
  CHECK_THROWS_AS(ApngWriter(path, 0), Error);
  CHECK(!fs::exists(path));
}
