#include "tools/canvas.h"

#include <algorithm>
#include <cmath>

namespace damc {
namespace {

constexpr std::size_t kGlyphWidth = 5;

/// Glyphs beside each other, a column apart; seven rows stand on the line, two hang below it.
struct Strip {
  std::string_view characters;
  std::string_view rows[9];
};

constexpr Strip kFont[] = {
    {"0123456789.,-+()",
     {" ###    #    ###   ###  #  #  #####  ###  #####  ###   ###                             #   #   ",
      "#   #  ##   #   # #   # #  #  #     #         # #   # #   #                     #     #     #  ",
      "#   # # #       #     # #  #  ####  #        #  #   # #   #                     #    #       # ",
      "# # #   #     ##    ##  #####     # ####     #   ###   ####              ###  #####  #       # ",
      "#   #   #    #        #    #      # #   #   #   #   #     #                     #    #       # ",
      "#   #   #   #     #   #    #  #   # #   #   #   #   #     #  ##    ##           #     #     #  ",
      " ###  ##### #####  ###     #   ###   ###    #    ###   ###   ##    ##                  #   #   ",
      "                                                                    #                          ",
      "                                                                   #                           "}},
    {"abcdefghijklmn",
     {"      #               #         ##        #       #      #  #      ##              ",
      "      #               #        #          #                 #       #              ",
      " ###  ####   ###   ####  ###  ####   #### ####   ##     ##  #  #    #   ## #  #### ",
      "    # #   # #     #   # #   #  #    #   # #   #   #      #  # #     #   # # # #   #",
      " #### #   # #     #   # #####  #    #   # #   #   #      #  ##      #   # # # #   #",
      "#   # #   # #     #   # #      #    #   # #   #   #      #  # #     #   # # # #   #",
      " #### ####   ###   ####  ###   #     #### #   #  ###     #  #  #   ###  # # # #   #",
      "                                        #                #                         ",
      "                                     ###               ##                          "}},
    {"opqrstuvwxyzE",
     {"                               #                                        #####",
      "                               #                                        #    ",
      " ###  ####   #### # ##   #### ####  #   # #   # #   # #   # #   # ##### #    ",
      "#   # #   # #   # ##    #      #    #   # #   # # # #  # #  #   #    #  #### ",
      "#   # #   # #   # #      ###   #    #   # #   # # # #   #   #   #   #   #    ",
      "#   # #   # #   # #         #  #    #   #  # #  # # #  # #  #   #  #    #    ",
      " ###  ####   #### #     ####    ##   ####   #    # #  #   #  #### ##### #####",
      "      #         #                                               #            ",
      "      #         #                                            ###             "}},
};

}  // namespace

Canvas::Canvas(std::int64_t height, std::int64_t width)
    : height_(height), width_(width), pixels_(static_cast<std::size_t>(height * width * 3), 255) {}

void Canvas::dot(std::int64_t x, std::int64_t y, const Colour& colour) {
  if (x < 0 || x >= width_ || y < 0 || y >= height_) return;
  std::copy(colour.begin(), colour.end(), pixels_.begin() + (y * width_ + x) * 3);
}

void Canvas::line(double x0, double y0, double x1, double y1, const Colour& colour) {
  const double length = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1.0});
  for (double t = 0.0; t <= length; t += 1.0) {
    dot(std::lround(x0 + (x1 - x0) * t / length), std::lround(y0 + (y1 - y0) * t / length), colour);
  }
}

void Canvas::text(std::int64_t x, std::int64_t y, std::string_view text, const Colour& colour,
                  std::int64_t scale) {
  for (const char c : text) {
    for (const Strip& strip : kFont) {
      const std::size_t place = strip.characters.find(c);
      if (place == strip.characters.npos) continue;
      for (std::int64_t i = 0; i < std::ssize(strip.rows) * scale; ++i) {
        const std::string_view row = strip.rows[i / scale].substr(place * (kGlyphWidth + 1), kGlyphWidth);
        for (std::int64_t j = 0; j < std::ssize(row) * scale; ++j) {
          if (row[static_cast<std::size_t>(j / scale)] == '#') dot(x + j, y + i, colour);
        }
      }
    }
    x += static_cast<std::int64_t>(kGlyphWidth + 1) * scale;
  }
}

void Canvas::image(std::int64_t x, std::int64_t y, const Images& image) {
  const std::span<const std::uint8_t> pixels = image.image(0);
  for (std::int64_t i = 0; i < image.height * image.width; ++i) {
    const std::uint8_t* pixel = pixels.data() + i * image.channels;
    const std::int64_t green = image.channels == 1 ? 0 : 1;
    dot(x + i % image.width, y + i / image.width, {pixel[0], pixel[green], pixel[2 * green]});
  }
}

}  // namespace damc
