/// Images as every reader gives them and every consumer takes them: 8-bit pixels, N,H,W,C. A copy shares the pixels.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/pixels.h"

namespace damc {

/// What an image file says of its pixels.
struct ImageHeader {
  std::int64_t height = 0, width = 0;
  std::int64_t channels = 0;  ///< 1 (gray) or 3 (red, green, blue); an alpha channel is not counted
};

/// `n` images of one shape.
struct Images {
  std::int64_t n = 0, height = 0, width = 0, channels = 0;
  Pixels pixels;                     ///< N,H,W,C
  std::vector<std::int32_t> labels;  ///< N; empty when unknown

  /// Bytes (= floats, once scaled) of one image: H*W*C.
  std::int64_t image_size() const { return height * width * channels; }
  /// Image `i` as H,W,C. Throws Error when there is no such image.
  std::span<const std::uint8_t> image(std::int64_t i) const;
};

/// A data set divided into what is learned from and what is measured on.
struct Split {
  Images train, test;
  std::vector<std::uint8_t> test_is_anomaly;  ///< one 0 or 1 per test image; empty unless a digit is held out
  std::string note;         ///< what is not as in the official set, for the log; often empty
  std::string source = {};  ///< which data set it is, for the log
};

/// What a data set is known by: numbers, sizes and checksums of its pixels, as a phrase.
std::string fingerprint(const Split& split);

/// The images with the given numbers, in that order; numbers may repeat.
/// Throws Error for a number outside [0, n).
Images subset(const Images& images, std::span<const std::int64_t> indices);

/// All of `a`, then all of `b`; labelled only if both are. Throws Error when their shapes differ.
Images concatenate(const Images& a, const Images& b);

/// Images in the middle of a black frame of size x size, grey ones as three equal colours where that is asked for. Throws
/// UserError for larger ones.
Images framed(const Images& images, std::int64_t size, std::int64_t channels);

/// Cuts images [first, n) off `images` and returns them, without copying pixels. Throws Error unless 0 <= first <= n.
Images split_off(Images& images, std::int64_t first);

}  // namespace damc
