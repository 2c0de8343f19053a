#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
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

double sinc(double x) { return x == 0 ? 1 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi); }

double weight_at(Filter filter, double x) {
  if (filter == Filter::bilinear) return std::max(0.0, 1 - std::abs(x));
  return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

std::vector<Taps> make_taps(std::int64_t in, std::int64_t out, Filter filter) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0);
  const double reach = filter == Filter::bilinear ? stretch : 3 * stretch;
  std::vector<Taps> all;
  for (std::int64_t o = 0; o < out; ++o) {
    const double centre = (static_cast<double>(o) + 0.5) * scale;
    Taps taps{std::max(static_cast<std::int64_t>(centre - reach + 0.5), std::int64_t{0}), {}};
    const std::int64_t end = std::min(static_cast<std::int64_t>(centre + reach + 0.5), in);
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t i = taps.first; i < end; ++i) {
      weights.push_back(weight_at(filter, (static_cast<double>(i) - centre + 0.5) * (1 / stretch)));
      sum += weights.back();
    }
    for (const double weight : weights) {
      const double share = weight * (1 / sum) * (1 << kPrecision);
      taps.weights.push_back(static_cast<std::int32_t>(share + (share < 0 ? -0.5 : 0.5)));
    }
    all.push_back(std::move(taps));
  }
  return all;
}

/// Resamples the middle axis of `outer` x in x `inner` bytes.
std::vector<std::uint8_t> resample(std::span<const std::uint8_t> source, std::int64_t outer, std::int64_t in,
                                   std::int64_t inner, std::int64_t out, Filter filter) {
  if (in == out) return {source.begin(), source.end()};
  const std::vector<Taps> all = make_taps(in, out, filter);
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

Images resize(const Images& images, std::int64_t height, std::int64_t width, Filter filter) {
  ENSURE(height > 0 && width > 0, "cannot resize images to {}x{}", height, width);
  const std::int64_t n = images.n, channels = images.channels;
  const auto narrow = resample(images.pixels, n * images.height, images.width, channels, width, filter);
  return {n,
          height,
          width,
          channels,
          resample(narrow, n, images.height, width * channels, height, filter),
          images.labels};
}

}  // namespace damc
