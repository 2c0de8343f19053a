/// How an image of any size becomes one of a data set of square images.
#pragma once

#include <cstdint>

#include "data/images.h"
#include "data/resize.h"

namespace damc {

/// Which square of an image is kept before it is resized.
enum class Crop {
  largest_square,  ///< the largest one in the centre; half a pixel is rounded to even, as torchvision does it
  upper_square,    ///< the same with half a pixel rounded down, as LSUN is cropped
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
  Filter filter = Filter::bilinear;
};

/// As the command line and files call them.
constexpr const char* name_of(Crop crop) {
  return crop == Crop::aligned_face ? "face" : crop == Crop::upper_square ? "upper" : "centre";
}
constexpr const char* name_of(Filter filter) { return filter == Filter::lanczos ? "lanczos" : "bilinear"; }

/// Crops one decoded image and resizes it to fitting.size x fitting.size.
Images fit_square(const Images& image, const Fitting& fitting);

}  // namespace damc
