#include "data/apng.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "data/codec.h"
#include "tensor/error.h"

namespace damc {
namespace {

using Bytes = std::vector<std::byte>;

/// Big-endian numbers, as PNG has them.
void append(Bytes& bytes, std::uint64_t number, int size) {
  for (int shift = 8 * (size - 1); shift >= 0; shift -= 8)
    bytes.push_back(static_cast<std::byte>(number >> shift));
}

/// The data of all chunks of a type in a file of encode_png's, one after the other.
Bytes chunks(std::span<const std::byte> png, std::string_view type) {
  Bytes found;
  for (std::size_t at = 8; at < png.size();) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < 4; ++i) size = size << 8 | std::to_integer<std::size_t>(png[at + i]);
    if (std::memcmp(&png[at + 4], type.data(), 4) == 0) {
      const auto data = png.subspan(at + 8, size);
      found.insert(found.end(), data.begin(), data.end());
    }
    at += 12 + size;
  }
  return found;
}

}  // namespace

ApngWriter::ApngWriter(const std::filesystem::path& path, std::int64_t frames)
    : file_(path), frames_(frames) {
  ENSURE(frames > 0, "an animation of {} frames", frames);
}

void ApngWriter::write_chunk(const char* type, std::span<const std::byte> data) {
  Bytes chunk;
  append(chunk, data.size(), 4);
  for (const char* c = type; *c; ++c) chunk.push_back(static_cast<std::byte>(*c));
  chunk.insert(chunk.end(), data.begin(), data.end());
  const auto* checked = reinterpret_cast<const Bytef*>(chunk.data() + 4);
  append(chunk, ::crc32(0, checked, static_cast<uInt>(chunk.size() - 4)), 4);
  file_.write(chunk);
}

void ApngWriter::add(const Images& image, std::int64_t milliseconds) {
  const Bytes png = encode_png(image.pixels.bytes(), image.height, image.width, image.channels);
  const Bytes header = chunks(png, "IHDR");
  if (added_ == 0) {
    header_ = header;
    file_.write(std::span(png).first(8));  // the signature
    write_chunk("IHDR", header);
    Bytes control;
    append(control, static_cast<std::uint64_t>(frames_), 4);
    append(control, 0, 4);  // for ever
    write_chunk("acTL", control);
  }
  ENSURE(header == header_, "frame {} of an animation has another shape than the first", added_);
  Bytes control;
  append(control, sequence_++, 4);
  append(control, static_cast<std::uint64_t>(image.width), 4);
  append(control, static_cast<std::uint64_t>(image.height), 4);
  append(control, 0, 8);  // at the upper left
  append(control, static_cast<std::uint64_t>(std::clamp<std::int64_t>(milliseconds, 0, 65535)), 2);
  append(control, 1000, 2);
  append(control, 0, 2);  // stays, and replaces what was there
  write_chunk("fcTL", control);
  Bytes data;
  if (added_ > 0) append(data, sequence_++, 4);
  const Bytes pixels = chunks(png, "IDAT");
  data.insert(data.end(), pixels.begin(), pixels.end());
  write_chunk(added_ > 0 ? "fdAT" : "IDAT", data);
  ++added_;
}

void ApngWriter::commit() {
  ENSURE(added_ == frames_, "an animation of {} frames has {}", frames_, added_);
  write_chunk("IEND", {});
  file_.commit();
}

}  // namespace damc
