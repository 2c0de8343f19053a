#include "damc/metrics/pixel_components.h"

#include <algorithm>
#include <vector>

#include "damc/batched.h"
#include "tensor/error.h"
#include "tensor/linalg.h"
#include "tensor/ops.h"

namespace damc {
namespace {

/// Images [N, H, W, C] as rows of f64, averaged in square blocks: [N, d].
Tensor pixel_rows(const Tensor& images) {
  const std::int64_t n = images.size(0), h = images.size(1), w = images.size(2), c = images.size(3);
  const std::int64_t block =
      (std::max(h, w) + PixelComponents::kMostPixels - 1) / PixelComponents::kMostPixels;
  ENSURE(h % block == 0 && w % block == 0,
         "pixel components: blocks of {0}x{0} pixels do not fill images of {1}x{2}", block, h, w);
  const Tensor x = images.to(Device{}).to(Dtype::f64);
  const Tensor columns = sum(x.reshape({n * h, w / block, block, c}), 2);
  const Tensor blocks = sum(columns.reshape({n, h / block, block, w / block * c}), 2);
  return mul(blocks, 1.0 / static_cast<double>(block * block)).reshape({n, -1});
}

/// The matrix with the given diagonal.
Tensor diagonal(const Tensor& values) {
  const std::int64_t n = values.size(0);
  Tensor m = Tensor::zeros({n, n}, Dtype::f64);
  for (std::int64_t i = 0; i < n; ++i) m.narrow(0, i, 1).narrow(1, i, 1).copy_from(values.narrow(0, i, 1));
  return m;
}

}  // namespace

PixelComponents::PixelComponents(const Images& reference, std::int64_t count,
                                 const std::function<void(std::int64_t)>& progress)
    : height_(reference.height), width_(reference.width), channels_(reference.channels) {
  constexpr std::int64_t batch = 1024;
  StatisticsStream stream(false);
  for (std::int64_t first = 0; first < reference.n; first += batch) {
    const std::int64_t n = std::min(batch, reference.n - first);
    stream.add(pixel_rows(to_tensor(reference, first, n, Device{})));
    if (progress) progress(first + n);
  }
  const Statistics pixels = stream.finish();
  const auto [values, vectors] = eigh(pixels.covariance);
  const std::int64_t d = values.size(0), kept = std::min(count, d);
  mean_ = pixels.mean;
  components_ = vectors.narrow(1, d - kept, kept);
  const Tensor variances = values.narrow(0, d - kept, kept);
  reference_ = {pixels.n, Tensor::zeros({kept}, Dtype::f64), diagonal(variances), {}};
  explained_ = sum(variances).item() / std::max(sum(values).item(), 1e-300);
}

Tensor PixelComponents::operator()(const Tensor& images) const {
  ENSURE(images.shape() == (Shape{images.size(0), height_, width_, channels_}),
         "pixel components: images are {}, those of the reference {}x{}x{}", images.shape().str(), height_,
         width_, channels_);
  return matmul(sub(pixel_rows(images), mean_), components_);
}

}  // namespace damc
