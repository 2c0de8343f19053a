/// Resampling of images as Pillow and torchvision do it ("bilinear", antialiased), to the last bit: data sets
/// prepared here and there are the same.
#pragma once

#include <cstdint>

#include "data/images.h"

namespace damc {

/// Resamples every image to height x width (n,height,width,channels). Along each axis an output pixel is the
/// mean of the input pixels under a triangle around its centre, which reaches one input pixel to either side,
/// or, when shrinking, one output pixel. Throws Error unless both sizes are positive.
Images resize(const Images& images, std::int64_t height, std::int64_t width);

}  // namespace damc
