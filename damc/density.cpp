#include "damc/density.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/error.h"

namespace damc {
namespace {

/// A Gaussian kernel along one axis: its values at the pixel centres first, first + 1, ...
struct AxisKernel {
  std::int64_t first;
  std::vector<double> values;
};

AxisKernel axis_kernel(double centre, const DensityView& view) {
  const double pixel = 2.0 * view.extent / static_cast<double>(view.size);
  const double at = (centre + view.extent) / pixel - 0.5;  // the centre, in pixels
  const double reach = 4.0 * view.bandwidth / pixel, last = static_cast<double>(view.size - 1);
  const auto first = static_cast<std::int64_t>(std::ceil(std::clamp(at - reach, 0.0, last + 1.0)));
  const auto end = static_cast<std::int64_t>(std::floor(std::clamp(at + reach, -1.0, last))) + 1;
  AxisKernel kernel{first, {}};
  for (std::int64_t i = first; i < end; ++i) {
    const double u = (static_cast<double>(i) - at) * pixel / view.bandwidth;
    kernel.values.push_back(std::exp(-0.5 * u * u) / (view.bandwidth * std::sqrt(2.0 * std::numbers::pi)));
  }
  return kernel;
}

}  // namespace

std::vector<double> kernel_density(const Tensor& points, const DensityView& view) {
  ENSURE(points.ndim() == 2 && points.size(1) == 2 && points.size(0) > 0, "density: points {}, expected [N, 2]",
         points.shape().str());
  const std::vector<double> coordinates = points.to_vector<double>();
  std::vector<double> density(static_cast<std::size_t>(view.size * view.size));
  const double weight = 1.0 / static_cast<double>(points.size(0));
  for (std::size_t n = 0; n < coordinates.size(); n += 2) {
    const AxisKernel across = axis_kernel(coordinates[n], view);
    const AxisKernel down = axis_kernel(-coordinates[n + 1], view);  // rows count from the top
    std::int64_t row = down.first;
    for (const double b : down.values) {
      double* pixel = density.data() + row++ * view.size + across.first;
      for (const double a : across.values) *pixel++ += weight * a * b;
    }
  }
  return density;
}

std::vector<float> colour(const std::vector<double>& density, double full) {
  // Blues of ColorBrewer (Brewer and Harrower), with white for nothing.
  constexpr double anchors[][3] = {{255, 255, 255}, {198, 219, 239}, {107, 174, 214}, {33, 113, 181}, {8, 48, 107}};
  constexpr std::size_t spans = std::size(anchors) - 1;
  std::vector<float> rgb;
  rgb.reserve(3 * density.size());
  for (const double value : density) {
    const double at = std::clamp(value / full, 0.0, 1.0) * spans;
    const std::size_t k = std::min(static_cast<std::size_t>(at), spans - 1);
    const double t = at - static_cast<double>(k);
    for (std::size_t c = 0; c < 3; ++c) {
      const double byte = (1.0 - t) * anchors[k][c] + t * anchors[k + 1][c];
      rgb.push_back(static_cast<float>(byte / 127.5 - 1.0));
    }
  }
  return rgb;
}

}  // namespace damc
