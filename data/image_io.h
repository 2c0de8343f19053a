/// Image files, and grids of images. Pixels are H,W,C bytes with 1 (gray) or 3 (red, green, blue)
/// channels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "data/images.h"

namespace damc {

/// Height and width in pixels.
struct ImageSize {
  std::int64_t height, width;
};

/// The size of the image file at `path`, without decoding it. Throws UserError as `read_image` does,
/// except for damage that only decoding shows.
ImageSize read_image_size(const std::filesystem::path& path);

/// Decodes an image file to one image, see `decode_image`. Throws UserError as that does, and when the file is
/// missing or larger than `kMaxImageBytes`.
Images read_image(const std::filesystem::path& path, std::int64_t channels = 0);

/// Cuts the rectangle with upper left corner (top, left) out of a single image. Throws Error if it sticks
/// out.
Images crop(const Images& image, std::int64_t top, std::int64_t left, std::int64_t height,
            std::int64_t width);

/// Writes H,W,C bytes as a PNG file, whole or not at all. Throws Error when that fails, when there are not 1
/// or 3 channels, or when `pixels` has another size than height * width * channels.
void write_png(const std::filesystem::path& path, std::span<const std::uint8_t> pixels, std::int64_t height,
               std::int64_t width, std::int64_t channels);

/// Lays n images (N,H,W,C floats in [-1, 1]; others are clamped, NaN turns black) out row by row, `columns`
/// in a row, as one image of (rows * (height + padding) + padding) x (columns * (width + padding) + padding)
/// with black gaps. Throws Error when the sizes do not fit together.
Images grid(std::span<const float> images, std::int64_t n, std::int64_t height, std::int64_t width,
            std::int64_t channels, std::int64_t columns, std::int64_t padding = 2);

/// Writes such a grid as a PNG file. Throws Error as `grid` and `write_png` do.
void write_grid(const std::filesystem::path& path, std::span<const float> images, std::int64_t n,
                std::int64_t height, std::int64_t width, std::int64_t channels, std::int64_t columns,
                std::int64_t padding = 2);

}  // namespace damc
