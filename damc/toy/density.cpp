#include "damc/toy/density.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "tensor/error.h"

namespace damc {
namespace {

/// A Gaussian kernel along one axis: its values at the pixels first, first + 1, ...
struct AxisKernel {
  std::int64_t first;
  std::vector<double> values;
};

AxisKernel axis_kernel(double centre, const DensityView& view) {
  const double at = (centre + view.extent) / view.pixel() - 0.5;  // the centre, in pixels
  const double reach = 4.0 * view.bandwidth / view.pixel(), end = static_cast<double>(view.size);
  AxisKernel kernel{static_cast<std::int64_t>(std::ceil(std::clamp(at - reach, 0.0, end))), {}};
  for (auto i = static_cast<double>(kernel.first); i < std::min(at + reach, end); ++i) {
    const double u = (i - at) * view.pixel() / view.bandwidth;
    kernel.values.push_back(std::exp(-0.5 * u * u) / (view.bandwidth * std::sqrt(2.0 * std::numbers::pi)));
  }
  return kernel;
}

}  // namespace

Tensor pixel_centres(const DensityView& view) {
  std::vector<float> points;
  for (std::int64_t row = 0; row < view.size; ++row) {
    for (std::int64_t column = 0; column < view.size; ++column) {
      const auto offset = [&](std::int64_t i) {
        return (static_cast<double>(i) + 0.5) * view.pixel() - view.extent;
      };
      points.push_back(static_cast<float>(offset(column)));
      points.push_back(static_cast<float>(-offset(row)));
    }
  }
  return Tensor::from(points, {view.size * view.size, 2});
}

Tensor kernel_density(const Tensor& points, const DensityView& view) {
  ENSURE(points.ndim() == 2 && points.size(1) == 2 && points.size(0) > 0,
         "density: points {}, expected [N, 2]", points.shape().str());
  const std::vector<double> coordinates = points.to_vector<double>();
  std::vector<double> density(static_cast<std::size_t>(view.size * view.size));
  for (std::size_t n = 0; n < coordinates.size(); n += 2) {
    const AxisKernel across = axis_kernel(coordinates[n], view);
    const AxisKernel down = axis_kernel(-coordinates[n + 1], view);  // rows count from the top
    std::int64_t row = down.first;
    for (const double b : down.values) {
      double* pixel = density.data() + row++ * view.size + across.first;
      for (const double a : across.values) *pixel++ += a * b / static_cast<double>(points.size(0));
    }
  }
  return Tensor::from(density, {view.size, view.size}).to(Dtype::f32);
}

Tensor colour(const Tensor& density, double full) {
  // Every eighth of viridis (S. van der Walt and N. Smith, CC0).
  constexpr double anchors[][3] = {{68, 1, 84},    {71, 44, 122},  {59, 81, 139},
                                   {44, 113, 142}, {33, 144, 141}, {39, 173, 129},
                                   {92, 200, 99},  {170, 220, 50}, {253, 231, 37}};
  constexpr std::size_t spans = std::size(anchors) - 1;
  std::vector<float> rgb;
  for (const double value : density.to_vector<double>()) {
    const double at = std::clamp(value / full, 0.0, 1.0) * spans;
    const std::size_t k = std::min(static_cast<std::size_t>(at), spans - 1);
    const double t = at - static_cast<double>(k);
    for (std::size_t c = 0; c < 3; ++c) {
      const double byte = (1.0 - t) * anchors[k][c] + t * anchors[k + 1][c];
      rgb.push_back(static_cast<float>(byte / 127.5 - 1.0));
    }
  }
  return Tensor::from(rgb, {1, density.size(0), density.size(1), 3});
}

}  // namespace damc
