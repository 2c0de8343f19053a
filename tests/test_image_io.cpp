/// Image files and whole-file writing: PNG round trips, crops, resizing, grids, and files
/// that appear completely or not at all.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/describe.h"
#include "data/fitting.h"
#include "data/image_folder.h"
#include "data/image_io.h"
#include "data/image_source.h"
#include "data/kinds.h"
#include "data/packed.h"
#include "data/resize.h"
#include "tensor/error.h"
#include "tensor/io/file.h"

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
  Bytes pixels;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < channels; ++c) pixels.push_back(static_cast<uint8_t>(y + 10 * x + 100 * c));
  return {1, height, width, channels, pixels, {}};
}

/// One image again and again, which notes how many bytes of those before have not arrived in a file of a folder yet: in
/// an open one, which may have no name there.
class Backlog final : public ImageSource {
 public:
  static constexpr int64_t kImage = 128 * 128 * 3, kBytes = 4096 * kImage;
  explicit Backlog(const fs::path& folder)
      : folder_(folder), png_(encode_png(Bytes(128 * 128, 7), 128, 128, 1)) {}

  int64_t size() const override { return kBytes / kImage; }
  std::string name(int64_t) const override { return "an image"; }
  ImageHeader header(int64_t) const override { return {128, 128, 1}; }
  std::vector<std::byte> encoded(int64_t i) const override {
    int64_t written = 0;
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
      std::error_code closed;
      if (!fs::read_symlink(entry, closed).string().starts_with(folder_.string())) continue;
      const std::uintmax_t bytes = fs::file_size(entry, closed);
      if (!closed) written = std::max(written, static_cast<int64_t>(bytes));
    }
    int64_t behind = i * kImage - written, most_so_far = most;
    while (behind > most_so_far && !most.compare_exchange_weak(most_so_far, behind)) {
    }
    return png_;
  }

  mutable std::atomic<int64_t> most{0};

 private:
  fs::path folder_;
  std::vector<std::byte> png_;
};

}  // namespace

TEST_CASE("images: subset, concatenate, split_off") {
  Bytes pixels(30);
  std::iota(pixels.begin(), pixels.end(), uint8_t{0});
  const Images images{5, 2, 3, 1, pixels, {0, 1, 2, 3, 4}};
  const std::vector<int64_t> some{4, 1, 4};
  const Images chosen = subset(images, some);
  CHECK(chosen.labels == std::vector<int32_t>{4, 1, 4});
  CHECK(chosen.image(1)[0] == 6);
  CHECK_THROWS_AS(subset(images, std::vector<int64_t>{5}), Error);

  Images head = images;
  const Images tail = split_off(head, 3);
  CHECK((head.n == 3 && tail.n == 2 && tail.image(0)[0] == 18));
  const Images whole = concatenate(head, tail);
  CHECK((whole.n == 5 && whole.pixels == images.pixels && whole.labels == images.labels));
  CHECK_THROWS_AS(concatenate(head, Images{1, 3, 2, 1, Bytes(6), {}}), Error);
  CHECK_THROWS_AS(split_off(head, 4), Error);
}

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
  const Images gray = read_image(temp.path / "a.png", 1);
  CHECK((gray.channels == 1 && gray.pixels.size() == 35 && gray.pixels[0] == 82));
  CHECK(count_files(temp.path) == 1);
  CHECK_THROWS_AS(write_png(temp.path / "b.png", Bytes(10), 2, 2, 3), Error);
  CHECK_THROWS_AS(write_png(temp.path / "b.png", Bytes(8), 2, 2, 2), Error);
}

TEST_CASE("what is no image file is refused by name") {
  const TempFolder temp;
  const fs::path path = temp.path / "a.png";
  CHECK_THROWS_WITH_AS(read_image(path), doctest::Contains("does not exist"), UserError);
  CHECK_THROWS_WITH_AS(read_image(temp.path), doctest::Contains("not a regular file"), UserError);
  write_png(path, ramp(20, 20, 3).pixels, 20, 20, 3);
  const std::string whole = read_text(path);
  write_text(path, whole.substr(0, whole.size() - 20));
  CHECK_THROWS_WITH_AS(read_image(path), doctest::Contains("a.png': it ends too early"), UserError);
  write_text(path, whole.substr(0, 28));
  CHECK_THROWS_WITH_AS(read_image_size(path), doctest::Contains("a.png': it ends too early"), UserError);
}

TEST_CASE("crop cuts a rectangle") {
  CHECK(crop(ramp(6, 4, 1), 2, 1, 2, 3).pixels == Bytes{12, 22, 32, 13, 23, 33});
  CHECK_THROWS_AS(crop(ramp(6, 4, 1), 5, 0, 2, 1), Error);
}

TEST_CASE("resize gives what Pillow's bilinear filter gives") {
  Bytes pixels;
  for (int i = 0; i < 35; ++i) pixels.push_back(static_cast<uint8_t>(i * 53));
  const Images image{1, 5, 7, 1, pixels, {}};
  CHECK(resize(image, 3, 2).pixels == Bytes{108, 106, 127, 139, 115, 128});
  CHECK(resize(image, 5, 4).pixels ==
        Bytes{28, 110, 157, 46, 143, 154, 67, 149, 136, 84, 182, 130, 117, 199, 112, 123, 110, 58, 156, 104});
  const Images larger = resize(image, 9, 10);
  CHECK(Bytes(larger.pixels.begin(), larger.pixels.begin() + 12) ==
        Bytes{0, 29, 66, 103, 140, 178, 202, 60, 33, 62, 38, 67});
  CHECK((larger.pixels[88] == 122 && larger.pixels[89] == 10));

  const Images two{2, 1, 1, 3, {5, 6, 7, 1, 2, 3}, {}};
  CHECK(resize(two, 2, 1).pixels == Bytes{5, 6, 7, 5, 6, 7, 1, 2, 3, 1, 2, 3});
  CHECK_THROWS_AS(resize(two, 0, 1), Error);
}

TEST_CASE("fit_square: CelebA's crop is 140x140 of 178x218, and in proportion") {
  // An odd border is divided as torchvision's CenterCrop does, which rounds halves to even.
  // White inside the square that should be kept, black outside: the result must be white throughout.
  struct Row {
    int64_t height, width, top, left, side;
    Crop crop;
  };
  for (const Row& row : {Row{218, 178, 39, 19, 140, Crop::aligned_face},
                         {109, 89, 20, 10, 70, Crop::aligned_face},
                         {50, 50, 0, 0, 50, Crop::aligned_face},
                         {40, 60, 0, 10, 40, Crop::largest_square},
                         {40, 77, 0, 18, 40, Crop::largest_square}}) {
    CAPTURE(row.height);
    Bytes pixels(static_cast<size_t>(row.height * row.width));
    for (int64_t y = row.top; y < row.top + row.side; ++y)
      for (int64_t x = row.left; x < row.left + row.side; ++x)
        pixels[static_cast<size_t>(y * row.width + x)] = 255;
    const Images fitted = fit_square({1, row.height, row.width, 1, pixels, {}}, {64, 1, row.crop});
    CHECK(fitted.height == 64);
    CHECK(fitted.pixels == Bytes(64 * 64, 255));
  }
}

TEST_CASE("image folders: order, split and packing") {
  const TempFolder temp;
  fs::create_directories(temp.path / "b");
  for (const char* name : {"10.png", "9.PNG", "b/1.png", "._9.png", "readme.txt"}) {
    const auto value = static_cast<uint8_t>(10 * std::string(name).size());
    write_png(temp.path / name, Bytes(218 * 178 * 3, value), 218, 178, 3);
  }
  const std::vector<fs::path> paths = list_images(temp.path).paths;
  CHECK(paths == std::vector<fs::path>{temp.path / "10.png", temp.path / "9.PNG", temp.path / "b/1.png"});

  const Split split = load_dataset("celeba64", temp.path);
  CHECK((split.train.n == 2 && split.test.n == 1 && split.train.height == 64 && split.train.labels.empty()));
  CHECK((split.train.pixels[0] == 60 && split.train.image(1)[0] == 50 && split.test.pixels[0] == 70));
  CHECK(split.note ==
        "too few images for the official split: of 3 the last 1 test; left out: 1 .txt, 1 hidden");

  const fs::path packed = temp.path / "packed";
  pack_images(packed, ImagePaths(paths), {0, 2}, {2, 1}, find_kind("celeba64").fitting, {"faces", 2});
  CHECK(load_dataset("celeba64", packed).test.pixels == split.test.pixels);
  CHECK(describe(packed).parts[0].shape == "64x64x3");
  CHECK_THROWS_WITH_AS(load_dataset("celebahq", packed), doctest::Contains("needs 256x256x3"), UserError);

  write_text(temp.path / "a.jpg", "no image");
  CHECK_THROWS_WITH_AS(load_dataset("celeba64", temp.path), doctest::Contains("a.jpg"), UserError);
  const std::vector<Check> checks = verify(temp.path);
  CHECK((checks.size() == 3 && checks[0].finding == "3 of 4 images decode" && checks[2].subject == "a.jpg"));
  CHECK((checks[1].ok && checks[1].finding == "1 without an ending, 1 .json, 1 .txt, 1 hidden"));
}

TEST_CASE("packing holds a portion of the pixels in memory, not all") {
  const TempFolder temp;
  const Backlog source(temp.path);
  pack_images(temp.path, source, {0, source.size()}, {source.size(), 0}, {128, 3}, {});
  CHECK(fs::file_size(temp.path / "images-idx4-ubyte") == Backlog::kBytes + 20);  // 192 MiB
  CHECK((source.most > 32 << 20 && source.most <= 64 << 20));
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
