/// Pictures of densities in the plane: a kernel density estimate of points, coloured from white (none) to dark blue.
#pragma once

#include <vector>

#include "tensor/tensor.h"

namespace damc {

/// The square [-extent, extent]^2 seen as size x size pixels: the first coordinate grows to the right, the second upwards.
struct DensityView {
  double extent = 4.0;
  std::int64_t size = 192;
  double bandwidth = 0.08;  ///< standard deviation of the Gaussian kernel, in the points' unit
};

/// Kernel density estimate of points [N, 2] at the pixels' centres, row by row from the top. Its sum times the area of a
/// pixel is about the share of points inside the view. Throws Error for points of another shape.
std::vector<double> kernel_density(const Tensor& points, const DensityView& view = {});

/// Colours of a density, H,W,3 in [-1, 1] as data/image_io.h takes them: `full` and all above it is the darkest.
std::vector<float> colour(const std::vector<double>& density, double full);

}  // namespace damc
