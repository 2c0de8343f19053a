/// Pictures of densities in the plane, in the colours of matplotlib's viridis.
#pragma once

#include "tensor/tensor.h"

namespace damc {

/// The square [-extent, extent]^2 seen as size x size pixels: the first coordinate grows to the right, the
/// second upwards.
struct DensityView {
  double extent = 4.0;
  std::int64_t size = 128;
  double bandwidth = 0.15;  ///< standard deviation of the Gaussian kernel, in the points' unit

  /// Side of a pixel in the points' unit.
  double pixel() const { return 2.0 * extent / static_cast<double>(size); }
};

/// The points that the pixels stand for, row by row from the top, [size^2, 2].
Tensor pixel_centres(const DensityView& view);

/// Kernel density estimate of points [N, 2] at the pixels' centres, [size, size]. Its sum times the area of a
/// pixel is about the share of points inside the view. Throws Error for points of another shape.
Tensor kernel_density(const Tensor& points, const DensityView& view = {});

/// A density [H, W] as an image [1, H, W, 3] in [-1, 1]; `full` and all above it is the brightest.
Tensor colour(const Tensor& density, double full);

}  // namespace damc
