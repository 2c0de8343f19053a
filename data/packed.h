/// A packed image folder: all images of a folder, already cropped and resized, in one IDX file, which loads
/// in seconds where decoding takes minutes. The order is the folder's, so training and test images stay the
/// same.
#pragma once

#include <filesystem>

#include "data/images.h"

namespace damc {

/// Whether `dir` holds a packed image folder.
bool is_packed(const std::filesystem::path& dir);

/// Reads `dir`/images-idx4-ubyte (N,H,W,C; also gzipped). Throws UserError when it is missing or damaged.
Images read_packed(const std::filesystem::path& dir);

/// Writes `images` to `dir`/images-idx4-ubyte, without labels; makes the folder. Throws Error when that
/// fails.
void write_packed(const std::filesystem::path& dir, const Images& images);

}  // namespace damc
