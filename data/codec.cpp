#include "data/codec.h"

#include <stb/stb_image_write.h>

#include <algorithm>
#include <array>
#include <memory>

#include "data/decoders.h"
#include "tensor/error.h"

namespace damc {

namespace {

bool starts_with(std::span<const std::byte> file, std::string_view signature) {
  return file.size() >= signature.size() &&
         std::ranges::equal(file.first(signature.size()), std::as_bytes(std::span(signature)));
}

/// The decoder for what the file is, by its first bytes.
std::unique_ptr<Decoder> open(std::span<const std::byte> file, const std::string& name) {
  std::unique_ptr<Decoder> decoder = starts_with(file, "\x89PNG\r\n\x1a\n") ? open_png(file, name)
                                     : starts_with(file, "\xff\xd8")        ? open_jpeg(file, name)
                                                                            : open_with_stb(file, name);
  const auto [height, width, channels] = decoder->header();
  if (height <= 0 || width <= 0) decoder->fail("it has no pixels");
  if (height > kMaxImagePixels / width) {
    user_error(fmt::format("'{}' has {}x{} pixels; at most {} in all are accepted", name, height, width,
                           kMaxImagePixels));
  }
  return decoder;
}

}  // namespace

void Decoder::fail(const std::string& reason) const {
  user_error(fmt::format("cannot decode '{}': {}", name_, reason), "remove or replace this file");
}

ImageHeader read_header(std::span<const std::byte> file, const std::string& name) {
  return open(file, name)->header();
}

Images decode_image(std::span<const std::byte> file, const std::string& name) {
  const std::unique_ptr<Decoder> decoder = open(file, name);
  const auto [height, width, channels] = decoder->header();
  return {1, height, width, channels, decoder->pixels(), {}};
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
