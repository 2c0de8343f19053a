/// Resampling of images as Pillow and torchvision do it (antialiased), to the last bit: data sets
/// prepared here and there are the same.
#pragma once

#include <cstdint>

#include "data/images.h"

namespace damc {

/// What weighs the input pixels around an output pixel's centre, by their distance from it in input pixels, or, when
/// shrinking, in output pixels.
enum class Filter {
  bilinear,  ///< a triangle that reaches 1 to either side
  lanczos,   ///< sinc(x) sinc(x/3), 3 to either side
};

/// Resamples every image to height x width (n,height,width,channels), one axis after the other. Throws Error unless
/// both sizes are positive.
Images resize(const Images& images, std::int64_t height, std::int64_t width,
              Filter filter = Filter::bilinear);

}  // namespace damc
