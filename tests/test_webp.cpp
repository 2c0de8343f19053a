/// WebP files and resizing against Pillow: tests/golden/images, written by make_images.py there.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "data/codec.h"
#include "data/image_io.h"
#include "data/resize.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tests/messages.h"

using namespace damc;

namespace {

const std::string kFolder = std::string(DAMC_SOURCE_DIR) + "/tests/golden/images/";

std::vector<std::byte> file(const std::string& name) { return read_file(kFolder + name, kMaxImageBytes); }

}  // namespace

TEST_CASE("webp: lossy, lossless, with alpha, grey and animated, Pillow's pixels as RGB") {
  for (const std::string name :
       {"lossy", "lossless", "alpha", "alpha-lossless", "grey", "animated", "animated-alpha"}) {
    CAPTURE(name);
    const Images image = read_image(kFolder + name + ".webp");
    CHECK((image.height == 37 && image.width == 53 && image.channels == 3));
    CHECK(image.pixels == read_image(kFolder + name + ".png", 3).pixels);
    const ImageSize size = read_image_size(kFolder + name + ".webp");
    CHECK((size.height == 37 && size.width == 53));
  }
}

TEST_CASE("webp: cut and damaged files") {
  const auto refusal = [](std::span<const std::byte> bytes) {
    return error_of<UserError>([&] { decode_image(bytes, "a file"); });
  };
  for (const std::string name :
       {"lossy.webp", "lossless.webp", "alpha.webp", "animated.webp", "animated-alpha.webp"}) {
    CAPTURE(name);
    const std::vector<std::byte> whole = file(name);
    for (std::size_t n = 12; n < whole.size(); n += 7) {
      const std::string message = refusal(std::span(whole).first(n));
      CHECK_MESSAGE(contains(message, "cannot decode 'a file': it "), n, " bytes: ", message);
    }
    std::vector<std::byte> damaged = whole;
    for (std::size_t i = 12; i < 20; ++i) damaged[i] = std::byte{0xff};
    CHECK(contains(refusal(damaged), "cannot decode 'a file'"));
  }
}

TEST_CASE("resize: Pillow's bilinear and Lanczos filters, larger and smaller") {
  const Images source = read_image(kFolder + "source.png");
  for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{32, 32}, {64, 20}, {9, 100}}) {
    const std::string name = fmt::format("-{}x{}.png", height, width);
    CAPTURE(name);
    CHECK(resize(source, height, width).pixels == read_image(kFolder + "bilinear" + name).pixels);
    CHECK(resize(source, height, width, Filter::lanczos).pixels ==
          read_image(kFolder + "lanczos" + name).pixels);
  }
}
