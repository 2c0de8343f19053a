/// Image files in memory. PNG, JPEG and WebP are read by libspng, libjpeg-turbo and libwebp as Pillow reads them; the other kinds
/// by stb_image, which writes PNG as well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/images.h"

namespace damc {

constexpr std::int64_t kMaxImagePixels = std::int64_t{1} << 26;
constexpr std::int64_t kMaxImageBytes = std::int64_t{64} << 20;  ///< of an image file

/// The header of the image file with the bytes `file`; `name` is for messages. Throws UserError as `decode_image`
/// does, except for damage that only decoding shows.
ImageHeader read_header(std::span<const std::byte> file, const std::string& name);

/// Decodes the file with the bytes `file` to one image of the channels it has: 1 (gray) or 3 (red, green, blue).
/// With `channels` = 1 or 3 gray becomes colour, or colour gray with the weights of ITU-R 601; 0 leaves it as it is.
/// PNG, JPEG and WebP come out as Pillow's `convert("RGB")` or "L" has them, to the last bit: an alpha channel and
/// transparency are dropped, CMYK becomes RGB, of 16 bits the upper 8 are kept (of gray as well, where Pillow
/// cuts everything above 255 off). Also read are BMP, PPM and PGM in bytes, TGA (by the name's ending, as it has
/// no signature) and the first image of GIF, its transparency dropped too
/// and what lies around it in the colour that Pillow gives it. Throws UserError when it
/// is of another kind, incomplete, damaged or animated (WebP), or has more than `kMaxImagePixels` pixels.
Images decode_image(std::span<const std::byte> file, const std::string& name, std::int64_t channels = 0);

/// H,W,C bytes with 1 or 3 channels as a PNG file. Throws Error when memory runs out.
std::vector<std::byte> encode_png(std::span<const std::uint8_t> pixels, std::int64_t height,
                                  std::int64_t width, std::int64_t channels);

}  // namespace damc
