/// Features that need no network: an image's coordinates along the principal components of a set's pixels. A Frechet
/// distance of these (pca-fd) compares colours and coarse shapes, with numbers that nothing else compares to: it is not
/// FID.
#pragma once

#include <cstdint>
#include <functional>

#include "damc/metrics/statistics.h"
#include "data/images.h"

namespace damc {

class PixelComponents {
 public:
  /// The most pixels of a side that components are of: larger images are averaged in square blocks first, of which the
  /// leading components would hardly see more.
  static constexpr std::int64_t kMostPixels = 32;

  /// The leading `count` components, or as many as the pixels have numbers, of the reference's images as floats in
  /// [-1, 1]. Tells `progress` how many images have been taken in. The same reference gives the same components, up to
  /// their signs, which no distance sees. Throws Error for fewer than two images, or sides that no blocks fill.
  explicit PixelComponents(const Images& reference, std::int64_t count = 50,
                           const std::function<void(std::int64_t)>& progress = {});

  /// Coordinates of images [N, H, W, C] in [-1, 1], on any device: f64 [N, count] on the CPU. Throws Error for images of
  /// another size than the reference's.
  Tensor operator()(const Tensor& images) const;
  /// Of the reference's own coordinates: mean 0, uncorrelated.
  const Statistics& reference() const { return reference_; }
  std::int64_t count() const { return components_.size(1); }
  /// Their share of the variance of all pixels.
  double explained() const { return explained_; }

 private:
  std::int64_t height_, width_, channels_;
  Tensor mean_;        // f64 [d]
  Tensor components_;  // f64 [d, count]
  Statistics reference_;
  double explained_;
};

}  // namespace damc
