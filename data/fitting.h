/// How an image of any size becomes one of a data set of square images.
#pragma once

#include <cstdint>

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

/// The images that a data set is made of.
struct Fitting {
  std::int64_t size = 64;     ///< height and width that the images get
  std::int64_t channels = 3;  ///< 1 (gray) or 3 (colour); files of the other kind are converted
  Crop crop = Crop::largest_square;
};

/// Crops one decoded image and resizes it to fitting.size x fitting.size.
Images fit_square(const Images& image, const Fitting& fitting);

}  // namespace damc
