#include "data/images.h"

#include <zlib.h>

#include <utility>

#include "data/mapped_bytes.h"
#include "tensor/error.h"

namespace damc {

std::span<const std::uint8_t> Images::image(std::int64_t i) const {
  ENSURE(0 <= i && i < n, "image {} asked for, but there are {}", i, n);
  return pixels.bytes().subspan(static_cast<std::size_t>(i * image_size()),
                                static_cast<std::size_t>(image_size()));
}

std::string fingerprint(const Split& split) {
  const auto checksum = [](const Images& images) {
    const auto sum = crc32_z(0, images.pixels.data(), images.pixels.size());
    require_whole(std::as_bytes(images.pixels.bytes()));
    return sum;
  };
  return fmt::format("{} training and {} test images of {}x{}x{} (crc32 {:08x}, {:08x})", split.train.n,
                     split.test.n, split.train.height, split.train.width, split.train.channels,
                     checksum(split.train), checksum(split.test));
}

Images subset(const Images& images, std::span<const std::int64_t> indices) {
  Images out{static_cast<std::int64_t>(indices.size()), images.height, images.width, images.channels, {}, {}};
  std::vector<std::uint8_t> pixels;
  pixels.reserve(static_cast<std::size_t>(out.n * out.image_size()));
  for (const std::int64_t i : indices) {
    const std::span<const std::uint8_t> image = images.image(i);
    pixels.insert(pixels.end(), image.begin(), image.end());
    if (!images.labels.empty()) out.labels.push_back(images.labels[static_cast<std::size_t>(i)]);
  }
  out.pixels = std::move(pixels);
  return out;
}

Images concatenate(const Images& a, const Images& b) {
  ENSURE(a.height == b.height && a.width == b.width && a.channels == b.channels,
         "concatenate: images of {}x{}x{} and of {}x{}x{} (height, width, channels)", a.height, a.width,
         a.channels, b.height, b.width, b.channels);
  Images out{a.n + b.n, a.height, a.width, a.channels, {}, {}};
  std::vector<std::uint8_t> pixels;
  pixels.reserve(a.pixels.size() + b.pixels.size());
  for (const Images* part : {&a, &b}) pixels.insert(pixels.end(), part->pixels.begin(), part->pixels.end());
  out.pixels = std::move(pixels);
  if ((a.n == 0 || !a.labels.empty()) && (b.n == 0 || !b.labels.empty())) {
    out.labels = a.labels;
    out.labels.insert(out.labels.end(), b.labels.begin(), b.labels.end());
  }
  return out;
}

Images framed(const Images& images, std::int64_t size, std::int64_t channels) {
  const std::int64_t height = images.height, width = images.width, c = images.channels;
  if (height == size && width == size && c == channels) return images;
  if (height > size || width > size || (c != channels && c != 1)) {
    user_error(
        fmt::format("images of {}x{}x{} where {}x{}x{} are needed", height, width, c, size, size, channels));
  }
  Images out{images.n, size, size, channels, {}, images.labels};
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(out.n * out.image_size()), 0);
  const std::int64_t top = (size - height) / 2, left = (size - width) / 2;
  for (std::int64_t i = 0; i < images.n * height; ++i) {
    const std::int64_t row = i / height * size + top + i % height;
    const std::uint8_t* from = images.pixels.data() + i * width * c;
    std::uint8_t* to = pixels.data() + (row * size + left) * channels;
    for (std::int64_t j = 0; j < width * channels; ++j) to[j] = from[c == channels ? j : j / channels];
  }
  out.pixels = std::move(pixels);
  return out;
}

Images split_off(Images& images, std::int64_t first) {
  ENSURE(0 <= first && first <= images.n, "split_off: cannot cut {} images at {}", images.n, first);
  Images tail{images.n - first, images.height, images.width, images.channels, {}, {}};
  const auto at = static_cast<std::size_t>(first * images.image_size());
  tail.pixels = images.pixels.part(at, images.pixels.size() - at);
  images.pixels = images.pixels.part(0, at);
  if (!images.labels.empty()) {
    tail.labels.assign(images.labels.begin() + first, images.labels.end());
    images.labels.resize(static_cast<std::size_t>(first));
  }
  images.n = first;
  return tail;
}

}  // namespace damc
