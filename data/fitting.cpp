#include "data/fitting.h"

#include <algorithm>
#include <cmath>

#include "data/image_io.h"

namespace damc {

Images fit_square(const Images& image, const Fitting& fitting) {
  std::int64_t side = std::min(image.height, image.width);
  // 140/178 of the width, rounded to the nearest.
  if (fitting.crop == Crop::aligned_face && image.height != image.width) side = (side * 140 + 89) / 178;
  side = std::max(side, std::int64_t{1});
  const auto offset = [&](std::int64_t size) {
    const std::int64_t rest = size - side;
    return fitting.crop == Crop::upper_square ? rest / 2 : std::lrint(static_cast<double>(rest) / 2);
  };
  const Images square = crop(image, offset(image.height), offset(image.width), side, side);
  return side == fitting.size ? square : resize(square, fitting.size, fitting.size, fitting.filter);
}

}  // namespace damc
