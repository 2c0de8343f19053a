#include "data/image_io.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "data/codec.h"
#include "tensor/error.h"
#include "tensor/io/file.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

/// [-1, 1] to 0..255, rounded to the nearest; the inverse of pixel / 127.5 - 1.
std::uint8_t to_byte(float value) {
  if (std::isnan(value)) return 0;
  return static_cast<std::uint8_t>(std::lround(std::clamp((value + 1) * 127.5f, 0.f, 255.f)));
}

std::size_t checked_size(std::int64_t n, std::int64_t height, std::int64_t width, std::int64_t channels) {
  ENSURE(n > 0 && height > 0 && width > 0 && (channels == 1 || channels == 3),
         "{} images of {}x{} pixels and {} channels cannot be drawn", n, height, width, channels);
  return static_cast<std::size_t>(n * height * width * channels);
}

}  // namespace

ImageSize read_image_size(const fs::path& path) {
  const ImageHeader header = read_header(read_file(path, kMaxImageBytes), path.string());
  return {header.height, header.width};
}

Images read_image(const fs::path& path, std::int64_t channels) {
  return decode_image(read_file(path, kMaxImageBytes), path.string(), channels);
}

Images crop(const Images& image, std::int64_t top, std::int64_t left, std::int64_t height,
            std::int64_t width) {
  ENSURE(image.n == 1 && top >= 0 && left >= 0 && height > 0 && width > 0 && top + height <= image.height &&
             left + width <= image.width,
         "cannot cut {}x{} at ({}, {}) out of {} image(s) of {}x{}", height, width, top, left, image.n,
         image.height, image.width);
  std::vector<std::uint8_t> pixels;
  for (std::int64_t row = top; row < top + height; ++row) {
    const auto begin = image.pixels.begin() + (row * image.width + left) * image.channels;
    pixels.insert(pixels.end(), begin, begin + width * image.channels);
  }
  return {1, height, width, image.channels, std::move(pixels), {}};
}

void write_png(const fs::path& path, std::span<const std::uint8_t> pixels, std::int64_t height,
               std::int64_t width, std::int64_t channels) {
  ENSURE(pixels.size() == checked_size(1, height, width, channels) && height * width <= kMaxImagePixels,
         "write_png '{}': {} bytes for {}x{}x{}", path.string(), pixels.size(), height, width, channels);
  atomic_write_file(path, encode_png(pixels, height, width, channels));
}

Images grid(std::span<const float> images, std::int64_t n, std::int64_t height, std::int64_t width,
            std::int64_t channels, std::int64_t columns, std::int64_t padding) {
  ENSURE(images.size() == checked_size(n, height, width, channels) && columns > 0 && padding >= 0,
         "grid: {} floats for {} images of {}x{}x{}, {} columns, padding {}", images.size(), n, height, width,
         channels, columns, padding);
  const std::int64_t rows = (n + columns - 1) / columns;
  Images out{1, rows * (height + padding) + padding, columns * (width + padding) + padding, channels, {}, {}};
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(out.image_size()));
  const float* source = images.data();
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t y = 0; y < height; ++y) {
      const std::int64_t row = i / columns * (height + padding) + padding + y;
      const std::int64_t left = i % columns * (width + padding) + padding;
      std::uint8_t* target = pixels.data() + (row * out.width + left) * channels;
      std::transform(source, source + width * channels, target, to_byte);
      source += width * channels;
    }
  }
  out.pixels = std::move(pixels);
  return out;
}

void write_grid(const fs::path& path, std::span<const float> images, std::int64_t n, std::int64_t height,
                std::int64_t width, std::int64_t channels, std::int64_t columns, std::int64_t padding) {
  const Images out = grid(images, n, height, width, channels, columns, padding);
  write_png(path, out.pixels, out.height, out.width, out.channels);
}

}  // namespace damc
