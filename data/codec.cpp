#include "data/codec.h"

#include <stb/stb_image_write.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "data/decoders.h"
#include "tensor/error.h"

namespace damc {

namespace {

bool starts_with(std::span<const std::byte> file, std::string_view signature) {
  return file.size() >= signature.size() &&
         std::ranges::equal(file.first(signature.size()), std::as_bytes(std::span(signature)));
}

bool is_webp(std::span<const std::byte> file) {
  return file.size() >= 12 && starts_with(file, "RIFF") && starts_with(file.subspan(8), "WEBP");
}

/// The decoder for what the file is, by its first bytes.
std::unique_ptr<Decoder> open(std::span<const std::byte> file, const std::string& name) {
  std::unique_ptr<Decoder> decoder = starts_with(file, "\x89PNG\r\n\x1a\n") ? open_png(file, name)
                                     : starts_with(file, "\xff\xd8")        ? open_jpeg(file, name)
                                     : is_webp(file)                        ? open_webp(file, name)
                                                                            : open_with_stb(file, name);
  const auto [height, width, channels] = decoder->header();
  if (height <= 0 || width <= 0) decoder->fail("it has no pixels");
  if (height > kMaxImagePixels / width) {
    user_error(fmt::format("'{}' has {}x{} pixels; at most {} in all are accepted", name, height, width,
                           kMaxImagePixels));
  }
  return decoder;
}

/// Gray to colour or back.
std::vector<std::uint8_t> convert(const std::vector<std::uint8_t>& pixels, std::int64_t channels) {
  std::vector<std::uint8_t> out;
  if (channels == 3) {
    for (const std::uint8_t gray : pixels) out.insert(out.end(), 3, gray);
    return out;
  }
  // ITU-R 601 luma, 0.299 R + 0.587 G + 0.114 B, in 16-bit fixed point.
  for (std::size_t i = 0; i < pixels.size(); i += 3) {
    out.push_back(static_cast<std::uint8_t>(
        (pixels[i] * 19595 + pixels[i + 1] * 38470 + pixels[i + 2] * 7471 + 0x8000) >> 16));
  }
  return out;
}

}  // namespace

void Decoder::fail(const std::string& reason) const {
  user_error(fmt::format("cannot decode '{}': {}", name_, reason), "remove or replace this file");
}

ImageHeader read_header(std::span<const std::byte> file, const std::string& name) {
  return open(file, name)->header();
}

Images decode_image(std::span<const std::byte> file, const std::string& name, std::int64_t wanted) {
  ENSURE(wanted == 0 || wanted == 1 || wanted == 3, "decode_image: {} channels asked for", wanted);
  const std::unique_ptr<Decoder> decoder = open(file, name);
  const auto [height, width, channels] = decoder->header();
  if (wanted == 0 || wanted == channels) return {1, height, width, channels, decoder->pixels(), {}};
  return {1, height, width, wanted, convert(decoder->pixels(), wanted), {}};
}

std::vector<std::byte> encode_png(std::span<const std::uint8_t> pixels, std::int64_t height,
                                  std::int64_t width, std::int64_t channels) {
  std::vector<std::byte> file;
  const auto keep = [](void* out, void* data, int size) {  // called once
    const auto* bytes = static_cast<const std::byte*>(data);
    static_cast<std::vector<std::byte>*>(out)->assign(bytes, bytes + size);
  };
  ENSURE(stbi_write_png_to_func(keep, &file, static_cast<int>(width), static_cast<int>(height),
                                static_cast<int>(channels), pixels.data(), 0),
         "cannot encode an image of {}x{}x{}", height, width, channels);
  return file;
}

}  // namespace damc
