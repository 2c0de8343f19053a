/// A packed image folder: all images of a folder or database, already cropped and resized, in one IDX file that is
/// mapped into memory, so that training starts at once and needs no memory for them. The order is the folder's, so
/// training and test images stay the same; pack.json beside it says what it was made of.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "data/fitting.h"
#include "data/image_source.h"
#include "data/images.h"

namespace damc {

/// What packed images are.
struct PackOrigin {
  std::string data;          ///< the title of the data set; empty where it is not known
  std::int64_t n_train = 0;  ///< the first of them train; 0: as the preset divides images
};

struct Pack {
  Images images;
  PackOrigin origin;
};

/// Images [first, first + count) of a source.
struct ImageRange {
  std::int64_t first, count;
};

/// Whether `dir` holds a packed image folder.
bool is_packed(const std::filesystem::path& dir);

/// Maps `dir`/images-idx4-ubyte (N,H,W,C; or reads it, gzipped) and reads pack.json, if there is one. Throws UserError
/// when one is missing or damaged, or when they disagree.
Pack read_packed(const std::filesystem::path& dir);

/// Decodes the images of two ranges, fits them and writes them to `dir`, which is made, in portions that fit into
/// memory; the first range trains. Throws UserError for an image that cannot be decoded, Error when writing fails;
/// then there is no new pack.
void pack_images(const std::filesystem::path& dir, const ImageSource& source, ImageRange train,
                 ImageRange test, const Fitting& fitting, const PackOrigin& origin);

}  // namespace damc
