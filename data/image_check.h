/// The structure of PNG and JPEG files, checked before a decoder sees them, so that a damaged or hostile file
/// cannot lead it astray. Nothing is decoded here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace damc {

constexpr int64_t max_image_pixels = int64_t{1} << 26;

/// What an image file says of its pixels.
struct ImageHeader {
  int64_t height = 0, width = 0;
  int64_t channels = 0;  ///< 1 (gray) or 3 (red, green, blue); an alpha channel is not counted
};

/// Throws UserError: the file `name` cannot be decoded, for `reason`.
[[noreturn]] void undecodable(const std::string& name, const std::string& reason);

/// Walks through the file with the bytes `file` and returns what its header says; `name` is for messages.
/// Throws UserError when it is neither PNG nor JPEG, is damaged, incomplete or of an unusual kind, or has
/// more than `max_image_pixels` pixels.
ImageHeader check_image(std::span<const std::byte> file, const std::string& name);

}  // namespace damc
