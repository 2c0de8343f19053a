/// Folders of image files as a data set of square images: CelebA, CelebA-HQ, or anyone's own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/images.h"

namespace damc {

/// Which square of an image is kept before it is resized.
enum class Crop {
  largest_square,  ///< the largest one in the centre
  /// The usual one of CelebA's aligned faces: 140x140 in the centre of 178x218. Other sizes in proportion,
  /// that is 140/178 of the width (70x70 of 89x109). A square image counts as cropped already and is used
  /// whole.
  aligned_face,
};

struct FolderOptions {
  std::int64_t size = 64;     ///< height and width that the images get
  std::int64_t channels = 3;  ///< 1 (gray) or 3 (colour); files of the other kind are converted
  Crop crop = Crop::largest_square;
};

/// The images of a folder.
struct ImageFiles {
  std::vector<std::filesystem::path> paths;  ///< in byte order, so the same on every machine
  std::string left_out;  ///< how many of which other kinds there are, as one line; empty if none
};

/// Every image file of the kinds that are read, by their names' endings (.png, .jpg, .jpeg, .jpe, .jfif, .bmp, .ppm,
/// .pgm, .pnm, .tga, .gif, in any case), in `place` and the folders below it; see file_tree.h for links. `place` may
/// also be a single file. Throws UserError when there are none or a folder cannot be read.
ImageFiles list_images(const std::filesystem::path& place);

/// Crops one decoded image and resizes it to options.size x options.size.
Images fit_square(const Images& image, const FolderOptions& options);

/// Reads the image files at `paths` (N,size,size,channels), without labels. Decodes on all processors. Throws UserError
/// for the first file that cannot be decoded.
Images read_images(const std::vector<std::filesystem::path>& paths, const FolderOptions& options);

}  // namespace damc
