/// A drawing in colour: lines, images and small letters.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/images.h"

namespace damc {

using Colour = std::array<std::uint8_t, 3>;  ///< red, green, blue

class Canvas {
 public:
  /// White.
  Canvas(std::int64_t height, std::int64_t width);

  // Places are in pixels from the upper left corner; what falls outside is left out.
  void line(double x0, double y0, double x1, double y1, const Colour& colour);
  /// Digits, small letters, E and .,-+() with their upper left corner there, every dot `scale` pixels wide.
  void text(std::int64_t x, std::int64_t y, std::string_view text, const Colour& colour,
            std::int64_t scale = 1);
  /// A single image, gray or in colour.
  void image(std::int64_t x, std::int64_t y, const Images& image);

  /// Height without what hangs below the line, and width.
  static std::int64_t text_height(std::int64_t scale) { return 7 * scale; }
  static std::int64_t text_width(std::string_view text, std::int64_t scale) {
    return (6 * static_cast<std::int64_t>(text.size()) - 1) * scale;
  }

  /// All of it, as one image.
  Images picture() const { return {1, height_, width_, 3, pixels_, {}}; }

 private:
  void dot(std::int64_t x, std::int64_t y, const Colour& colour);

  std::int64_t height_, width_;
  std::vector<std::uint8_t> pixels_;
};

}  // namespace damc
