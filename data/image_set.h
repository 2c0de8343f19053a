/// The image files of a data folder as a data set: CelebA, CelebA-HQ, FFHQ, LSUN, or anyone's own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "data/image_source.h"
#include "data/kinds.h"

namespace damc {

struct ImageSet {
  std::unique_ptr<ImageSource> source;  ///< training images first
  const Kind* official;                 ///< the release that it is; null for anyone's own images
  std::int64_t n_train;                 ///< the first of them train; 0: nobody has divided them
  std::string title;     ///< what the release is called, with LSUN's category; or "a folder of images"
  std::string left_out;  ///< how many of which other kinds of files there are, as one line; empty if none

  /// How they become images of the size and channels wanted: cropped and resized as the release is, if it is one.
  Fitting fitted(const Fitting& wanted) const;
};

/// Finds the images of a folder (see layout.h for what is recognized), or the one of a file. Anyone's own images that lie
/// in a train/ and a test/ (or val/) are divided so. Throws UserError when
/// there are none, or as list_images and Lmdb do.
ImageSet find_images(const std::filesystem::path& place);

/// Whether `dir` holds image files or databases of them.
bool holds_images(const std::filesystem::path& dir);

}  // namespace damc
