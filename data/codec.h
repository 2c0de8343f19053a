/// PNG and JPEG in memory, through stb_image and stb_image_write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/images.h"

namespace damc {

/// Decodes the file with the bytes `file` to one image of the channels it has: 1 (gray) or 3 (red, green,
/// blue). An alpha channel is dropped, 16 bits become 8. `name` is for messages. Throws UserError as
/// `check_image` does, and when the pixels are damaged.
Images decode_image(std::span<const std::byte> file, const std::string& name);

/// H,W,C bytes with 1 or 3 channels as a PNG file. Throws Error when memory runs out.
std::vector<std::byte> encode_png(std::span<const uint8_t> pixels, int64_t height, int64_t width,
                                  int64_t channels);

}  // namespace damc
