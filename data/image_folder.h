/// The image files of a folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace damc {

/// The images of a folder.
struct ImageFiles {
  std::vector<std::filesystem::path> paths;  ///< in byte order, so the same on every machine
  std::string left_out;  ///< how many of which other kinds there are, as one line; empty if none
};

/// Every image file of the kinds that are read, by their names' endings (.png, .webp, .jpg, .jpeg, .jpe, .jfif, .bmp, .ppm,
/// .pgm, .pnm, .tga, .gif, in any case), in `place` and the folders below it; see file_tree.h for links. `place` may
/// also be a single file. Throws UserError when there are none or a folder cannot be read.
ImageFiles list_images(const std::filesystem::path& place);

/// Whether there is any.
bool has_images(const std::filesystem::path& dir);

}  // namespace damc
