#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/error.h"

namespace damc {

namespace {

// Pillow works on 8-bit images in fixed point, with this many bits behind the point; so do we, to agree with
// it.
constexpr int kPrecision = 32 - 8 - 2;

/// The weights that make one output pixel of input pixels first, first + 1, ...
struct Taps {
  std::int64_t first;
  std::vector<std::int32_t> weights;
};

std::vector<Taps> triangle_taps(std::int64_t in, std::int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double reach = std::max(scale, 1.0);
  std::vector<Taps> all;
  for (std::int64_t o = 0; o < out; ++o) {
    const double centre = (static_cast<double>(o) + 0.5) * scale;
    Taps taps{std::max(static_cast<std::int64_t>(centre - reach + 0.5), std::int64_t{0}), {}};
    const std::int64_t end = std::min(static_cast<std::int64_t>(centre + reach + 0.5), in);
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t i = taps.first; i < end; ++i) {
      weights.push_back(std::max(0.0, 1 - std::abs((static_cast<double>(i) - centre + 0.5) * (1 / reach))));
      sum += weights.back();
    }
    for (const double weight : weights) {
      taps.weights.push_back(static_cast<std::int32_t>(0.5 + weight * (1 / sum) * (1 << kPrecision)));
    }
    all.push_back(std::move(taps));
  }
  return all;
}

/// Resamples the middle axis of `outer` x in x `inner` bytes.
std::vector<std::uint8_t> resample(const std::vector<std::uint8_t>& source, std::int64_t outer,
                                   std::int64_t in, std::int64_t inner, std::int64_t out) {
  if (in == out) return source;
  const std::vector<Taps> all = triangle_taps(in, out);
  std::vector<std::uint8_t> result;
  result.reserve(static_cast<std::size_t>(outer * out * inner));
  for (std::int64_t a = 0; a < outer; ++a) {
    for (const Taps& taps : all) {
      for (std::int64_t b = 0; b < inner; ++b) {
        const std::uint8_t* value = source.data() + (a * in + taps.first) * inner + b;
        std::int32_t sum = 1 << (kPrecision - 1);
        for (const std::int32_t weight : taps.weights) {
          sum += *value * weight;
          value += inner;
        }
        result.push_back(static_cast<std::uint8_t>(std::clamp(sum >> kPrecision, 0, 255)));
      }
    }
  }
  return result;
}

}  // namespace

Images resize(const Images& images, std::int64_t height, std::int64_t width) {
  ENSURE(height > 0 && width > 0, "cannot resize images to {}x{}", height, width);
  const std::int64_t n = images.n, channels = images.channels;
  const auto narrow = resample(images.pixels, n * images.height, images.width, channels, width);
  return {n,
          height,
          width,
          channels,
          resample(narrow, n, images.height, width * channels, height),
          images.labels};
}

}  // namespace damc
