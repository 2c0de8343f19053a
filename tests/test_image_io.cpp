/// Image files and whole-file writing: PNG round trips, hostile images, crops, resizing, grids, and files
/// that appear completely or not at all.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "data/image_folder.h"
#include "data/image_io.h"
#include "tensor/error.h"
#include "tensor/file.h"

using namespace damc;
namespace fs = std::filesystem;

namespace {

struct TempFolder {
  fs::path path = fs::temp_directory_path() / ("damc-test-image-" + std::to_string(::getpid()));
  TempFolder() { fs::create_directories(path); }
  ~TempFolder() { fs::remove_all(path); }
};

using Bytes = std::vector<uint8_t>;

void write_text(const fs::path& path, const std::string& text) {
  atomic_write_file(path, std::as_bytes(std::span(text)));
}

std::string read_text(const fs::path& path) {
  const std::vector<std::byte> bytes = read_file(path, 1 << 20);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

int64_t count_files(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

/// Value of row + 10 * column + 100 * channel.
Images ramp(int64_t height, int64_t width, int64_t channels) {
  Images image{1, height, width, channels, {}, {}};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < channels; ++c)
        image.pixels.push_back(static_cast<uint8_t>(y + 10 * x + 100 * c));
  return image;
}

}  // namespace

TEST_CASE("PNG files come back as they were written") {
  const TempFolder temp;
  for (const int64_t channels : {1, 3}) {
    const Images image = ramp(7, 5, channels);
    write_png(temp.path / "a.png", image.pixels, 7, 5, channels);
    const Images back = read_image(temp.path / "a.png");
    CHECK((back.height == 7 && back.width == 5 && back.channels == channels));
    CHECK(back.pixels == image.pixels);
    const ImageSize size = read_image_size(temp.path / "a.png");
    CHECK((size.height == 7 && size.width == 5));
  }
  CHECK(read_image(temp.path / "a.png", 1).pixels.size() == 35);
  CHECK(count_files(temp.path) == 1);
  CHECK_THROWS_AS(write_png(temp.path / "b.png", Bytes(10), 2, 2, 3), Error);
  CHECK_THROWS_AS(write_png(temp.path / "b.png", Bytes(8), 2, 2, 2), Error);
}

TEST_CASE("broken and hostile image files are refused by name") {
  const TempFolder temp;
  const fs::path path = temp.path / "a.png";
  CHECK_THROWS_WITH_AS(read_image(path), doctest::Contains("does not exist"), UserError);
  CHECK_THROWS_WITH_AS(read_image(temp.path), doctest::Contains("not a regular file"), UserError);
  write_text(path, "");
  CHECK_THROWS_WITH_AS(read_image(path), doctest::Contains("a.png"), UserError);
  write_png(path, ramp(20, 20, 3).pixels, 20, 20, 3);
  const std::string good = read_text(path);
  for (size_t size = 0; size < good.size() - 12; size += 7) {  // the last 12 bytes are the end marker
    write_text(path, good.substr(0, size));
    CHECK_THROWS_WITH_AS(read_image(path), doctest::Contains("cannot decode"), UserError);
  }
  std::string huge = good;
  for (const size_t at : {16u, 20u}) huge.replace(at, 4, std::string("\0\0\x27\x10", 4));  // width, height
  write_text(path, huge);
  CHECK_THROWS_WITH_AS(read_image(path), doctest::Contains("10000x10000"), UserError);
}

TEST_CASE("crop and resize") {
  const Images image = ramp(6, 4, 1);
  CHECK(crop(image, 2, 1, 2, 3).pixels == Bytes{12, 22, 32, 13, 23, 33});
  CHECK_THROWS_AS(crop(image, 5, 0, 2, 1), Error);

  const Images half = resize(
      Images{1, 2, 8, 1, {0, 0, 80, 80, 160, 160, 240, 240, 0, 0, 80, 80, 160, 160, 240, 240}, {}}, 1, 4);
  // Weights 1 3 3 1 over 8 of four neighbours: half of the outermost reach lies on the next level.
  CHECK(half.pixels == Bytes{10, 80, 160, 230});
  CHECK(resize(Images{1, 1, 1, 3, {5, 6, 7}, {}}, 2, 2).pixels == Bytes{5, 6, 7, 5, 6, 7, 5, 6, 7, 5, 6, 7});
}

TEST_CASE("fit_square: CelebA's crop is 140x140 of 178x218, and in proportion") {
  // White inside the square that should be kept, black outside: the result must be white throughout.
  struct Row {
    int64_t height, width, top, left, side;
    Crop crop;
  };
  for (const Row& row : {Row{218, 178, 39, 19, 140, Crop::aligned_face},
                         {109, 89, 19, 9, 70, Crop::aligned_face},
                         {50, 50, 0, 0, 50, Crop::aligned_face},
                         {40, 60, 0, 10, 40, Crop::largest_square}}) {
    CAPTURE(row.height);
    Images image{1, row.height, row.width, 1, Bytes(static_cast<size_t>(row.height * row.width)), {}};
    for (int64_t y = row.top; y < row.top + row.side; ++y)
      for (int64_t x = row.left; x < row.left + row.side; ++x)
        image.pixels[static_cast<size_t>(y * row.width + x)] = 255;
    const Images fitted = fit_square(image, {64, 1, row.crop});
    CHECK(fitted.height == 64);
    CHECK(fitted.pixels == Bytes(64 * 64, 255));
  }
}

TEST_CASE("grid: rows, gaps, rounding and values outside [-1, 1]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> images{-1, 1, 0, 5, -5, nan};  // three images of 1x2x1
  const Images out = grid(images, 3, 1, 2, 1, 2, 1);
  CHECK((out.height == 5 && out.width == 7 && out.channels == 1));
  CHECK(out.pixels == Bytes{0, 0, 0,   0, 0,   0,   0,  //
                            0, 0, 255, 0, 128, 255, 0,  //
                            0, 0, 0,   0, 0,   0,   0,  //
                            0, 0, 0,   0, 0,   0,   0,  //
                            0, 0, 0,   0, 0,   0,   0});
  CHECK(grid(std::vector<float>{-1, 0, 1}, 1, 1, 1, 3, 1, 0).pixels == Bytes{0, 128, 255});
  CHECK_THROWS_AS(grid(images, 2, 1, 2, 1, 2), Error);
  CHECK_THROWS_AS(grid(images, 3, 1, 2, 1, 0), Error);

  // Every byte survives scaling to [-1, 1] and back.
  std::vector<float> all;
  Bytes expected;
  for (int i = 0; i < 256; ++i) {
    all.push_back(static_cast<float>(i) / 127.5f - 1);
    expected.push_back(static_cast<uint8_t>(i));
  }
  CHECK(grid(all, 1, 16, 16, 1, 1, 0).pixels == expected);

  const TempFolder temp;
  write_grid(temp.path / "g.png", images, 3, 1, 2, 1, 2, 1);
  CHECK(read_image(temp.path / "g.png").pixels == out.pixels);
}

TEST_CASE("atomic_write_file replaces a file as a whole") {
  const TempFolder temp;
  write_text(temp.path / "a", "first");
  write_text(temp.path / "a", "second, longer");
  CHECK(read_text(temp.path / "a") == "second, longer");
  write_text(temp.path / "empty", "");
  CHECK(read_text(temp.path / "empty").empty());
  CHECK(count_files(temp.path) == 2);
  CHECK_THROWS_WITH_AS(read_file(temp.path / "a", 5), doctest::Contains("14 bytes; at most 5"), UserError);
}

TEST_CASE("a failed write names the file and leaves everything as it was") {
  const TempFolder temp;
  CHECK_THROWS_WITH_AS(write_text(temp.path / "no/a", "x"), doctest::Contains("no/a': No such file"), Error);
  fs::create_directories(temp.path / "folder/inside");
  CHECK_THROWS_WITH_AS(write_text(temp.path / "folder", "x"), doctest::Contains("folder'"), Error);
  CHECK(count_files(temp.path) == 1);
  {
    AtomicFile abandoned(temp.path / "b");
    abandoned.write(std::as_bytes(std::span("half")));
  }
  CHECK(count_files(temp.path) == 1);

  write_text(temp.path / "a", "old");
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{4096, limit.rlim_max};  // stands in for a full disk: write() fails half-way
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  std::string message;
  try {
    write_text(temp.path / "a", std::string(10000, 'x'));
  } catch (const Error& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, handler);
  CHECK(message == "cannot write '" + (temp.path / "a").string() + "': File too large");
  CHECK(read_text(temp.path / "a") == "old");
  CHECK(count_files(temp.path) == 2);
}
