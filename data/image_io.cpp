#include "data/image_io.h"

#include <stb/stb_image.h>
#include <stb/stb_image_resize.h>
#include <stb/stb_image_write.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <vector>

#include "tensor/error.h"
#include "tensor/file.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr int64_t max_file_bytes = int64_t{64} << 20;
constexpr int64_t max_pixels = int64_t{1} << 26;

[[noreturn]] void bad_image(const fs::path& path, const char* reason) {
  user_error(fmt::format("cannot decode '{}': {}", path.string(), reason),
             "only PNG and JPEG images are read; remove or replace this file");
}

struct Header {
  int width, height, channels;
};

const stbi_uc* data_of(const std::vector<std::byte>& file) {
  return reinterpret_cast<const stbi_uc*>(file.data());
}

/// Checked before decoding, since a small file can claim a huge image.
Header read_header(const fs::path& path, const std::vector<std::byte>& file) {
  Header header{};
  if (!stbi_info_from_memory(data_of(file), static_cast<int>(file.size()), &header.width, &header.height,
                             &header.channels))
    bad_image(path, "no valid PNG or JPEG header");
  if (int64_t{header.height} * header.width > max_pixels)
    user_error(fmt::format("'{}' has {}x{} pixels; at most {} in all are accepted", path.string(),
                           header.height, header.width, max_pixels));
  return header;
}

/// [-1, 1] to 0..255, rounded to the nearest; the inverse of pixel / 127.5 - 1.
uint8_t to_byte(float value) {
  if (std::isnan(value)) return 0;
  return static_cast<uint8_t>(std::lround(std::clamp((value + 1) * 127.5f, 0.f, 255.f)));
}

size_t checked_size(int64_t n, int64_t height, int64_t width, int64_t channels) {
  ENSURE(n > 0 && height > 0 && width > 0 && (channels == 1 || channels == 3),
         "{} images of {}x{} pixels and {} channels cannot be drawn", n, height, width, channels);
  return static_cast<size_t>(n * height * width * channels);
}

}  // namespace

ImageSize read_image_size(const fs::path& path) {
  const Header header = read_header(path, read_file(path, max_file_bytes));
  return {header.height, header.width};
}

Images read_image(const fs::path& path, int64_t channels) {
  ENSURE(channels == 0 || channels == 1 || channels == 3, "read_image: {} channels asked for", channels);
  const std::vector<std::byte> file = read_file(path, max_file_bytes);
  const Header header = read_header(path, file);
  if (channels == 0) channels = header.channels < 3 ? 1 : 3;
  int width = 0, height = 0, in_file = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data_of(file), static_cast<int>(file.size()), &width, &height, &in_file,
                            static_cast<int>(channels)),
      stbi_image_free);
  if (!pixels) bad_image(path, stbi_failure_reason());
  Images image{1, height, width, channels, {}, {}};
  image.pixels.assign(pixels.get(), pixels.get() + image.image_size());
  return image;
}

Images crop(const Images& image, int64_t top, int64_t left, int64_t height, int64_t width) {
  ENSURE(image.n == 1 && top >= 0 && left >= 0 && height > 0 && width > 0 && top + height <= image.height &&
             left + width <= image.width,
         "cannot cut {}x{} at ({}, {}) out of {} image(s) of {}x{}", height, width, top, left, image.n,
         image.height, image.width);
  Images out{1, height, width, image.channels, {}, {}};
  for (int64_t row = top; row < top + height; ++row) {
    const auto begin = image.pixels.begin() + (row * image.width + left) * image.channels;
    out.pixels.insert(out.pixels.end(), begin, begin + width * image.channels);
  }
  return out;
}

Images resize(const Images& image, int64_t height, int64_t width) {
  ENSURE(image.n == 1 && height > 0 && width > 0 && height * width <= max_pixels,
         "cannot resize {} image(s) to {}x{}", image.n, height, width);
  Images out{1, height, width, image.channels, {}, {}};
  out.pixels.resize(static_cast<size_t>(out.image_size()));
  const int done = stbir_resize_uint8_generic(
      image.pixels.data(), static_cast<int>(image.width), static_cast<int>(image.height), 0,
      out.pixels.data(), static_cast<int>(width), static_cast<int>(height), 0,
      static_cast<int>(image.channels), STBIR_ALPHA_CHANNEL_NONE, 0, STBIR_EDGE_CLAMP, STBIR_FILTER_TRIANGLE,
      STBIR_COLORSPACE_LINEAR, nullptr);
  ENSURE(done, "out of memory while resizing an image to {}x{}", height, width);
  return out;
}

void write_png(const fs::path& path, std::span<const uint8_t> pixels, int64_t height, int64_t width,
               int64_t channels) {
  ENSURE(pixels.size() == checked_size(1, height, width, channels) && height * width <= max_pixels,
         "write_png '{}': {} bytes for {}x{}x{}", path.string(), pixels.size(), height, width, channels);
  std::vector<std::byte> file;
  const auto append = [](void* context, void* data, int size) {
    const auto* bytes = static_cast<const std::byte*>(data);
    auto& out = *static_cast<std::vector<std::byte>*>(context);
    out.insert(out.end(), bytes, bytes + size);
  };
  ENSURE(
      stbi_write_png_to_func(append, &file, static_cast<int>(width), static_cast<int>(height),
                             static_cast<int>(channels), pixels.data(), static_cast<int>(width * channels)),
      "out of memory while encoding '{}'", path.string());
  atomic_write_file(path, file);
}

Images grid(std::span<const float> images, int64_t n, int64_t height, int64_t width, int64_t channels,
            int64_t columns, int64_t padding) {
  ENSURE(images.size() == checked_size(n, height, width, channels) && columns > 0 && padding >= 0,
         "grid: {} floats for {} images of {}x{}x{}, {} columns, padding {}", images.size(), n, height, width,
         channels, columns, padding);
  const int64_t rows = (n + columns - 1) / columns;
  Images out{1, rows * (height + padding) + padding, columns * (width + padding) + padding, channels, {}, {}};
  out.pixels.resize(static_cast<size_t>(out.image_size()));
  const float* source = images.data();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t y = 0; y < height; ++y) {
      const int64_t row = i / columns * (height + padding) + padding + y;
      const int64_t left = i % columns * (width + padding) + padding;
      uint8_t* target = out.pixels.data() + (row * out.width + left) * channels;
      std::transform(source, source + width * channels, target, to_byte);
      source += width * channels;
    }
  return out;
}

void write_grid(const fs::path& path, std::span<const float> images, int64_t n, int64_t height, int64_t width,
                int64_t channels, int64_t columns, int64_t padding) {
  const Images out = grid(images, n, height, width, channels, columns, padding);
  write_png(path, out.pixels, out.height, out.width, out.channels);
}

}  // namespace damc
