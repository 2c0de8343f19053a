#include "data/mnist.h"

#include <fmt/ranges.h>
#include <algorithm>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "data/idx.h"
#include "data/kinds.h"
#include "data/layout.h"
#include "data/numpy_random.h"
#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

Images read_part(const fs::path& image_file, const fs::path& label_file) {
  Idx images = read_idx(image_file, 3);
  const Idx labels = read_idx(label_file, 1);
  if (images.sizes[1] != 28 || images.sizes[2] != 28) {
    user_error(fmt::format("'{}' holds images of {}x{}, not 28x28", image_file.string(), images.sizes[1],
                           images.sizes[2]));
  }
  if (images.sizes[0] != labels.sizes[0]) {
    user_error(fmt::format("'{}' holds {} images, but '{}' {} labels", image_file.string(), images.sizes[0],
                           label_file.string(), labels.sizes[0]),
               "take both files from the same source");
  }
  if (const std::uint8_t largest = *std::max_element(labels.bytes.begin(), labels.bytes.end()); largest > 9) {
    user_error(fmt::format("'{}' holds the label {}; digits are 0..9", label_file.string(), largest));
  }
  return {images.sizes[0], 28, 28, 1, std::move(images.bytes), {labels.bytes.begin(), labels.bytes.end()}};
}

/// EMNIST stores the columns of its images as rows.
void transpose(Images& images) {
  std::vector<std::uint8_t> pixels(images.pixels.begin(), images.pixels.end());
  for (std::int64_t i = 0; i < images.n; ++i) {
    std::uint8_t* const image = pixels.data() + i * images.image_size();
    for (std::int64_t row = 0; row < images.height; ++row) {
      for (std::int64_t column = 0; column < row; ++column) {
        std::swap(image[row * images.width + column], image[column * images.width + row]);
      }
    }
  }
  images.pixels = std::move(pixels);
}

}  // namespace

Split read_mnist(const fs::path& dir) {
  const Layout layout = find_layout(dir, "mnist");
  if (layout.files.empty()) explain_absence(dir, "mnist");
  std::vector<std::string_view> missing;
  for (const std::string_view name : kMnistFiles) {
    if (!layout.files.contains(name)) missing.push_back(name);
  }
  if (!missing.empty()) {
    user_error(fmt::format("no MNIST in '{}': {} missing{}", layout.home.string(), fmt::join(missing, ", "),
                           files_beside(layout)),
               "put the four files, plain or .gz, into that folder; this project carries them in data/mnist, "
               "and https://ossci-datasets.s3.amazonaws.com/mnist/ has them, too");
  }
  const auto read = [&](std::size_t first) {
    Images images = read_part(layout.files.find(kMnistFiles[first])->second,
                              layout.files.find(kMnistFiles[first + 1])->second);
    if (!layout.variant.empty()) transpose(images);
    return images;
  };
  return {
      read(0),
      read(2),
      {},
      layout.variant.empty() ? "" : layout.variant + ": its images, stored on their side, are set upright"};
}

Split hold_out_digit(const Split& official, int digit) {
  if (digit < 0 || digit > 9) {
    user_error(fmt::format("held-out digit {} is not a digit", digit), "use 0 to 9");
  }
  ENSURE(!official.train.labels.empty() && !official.test.labels.empty(), "holding out a digit needs labels");

  // The published results pool the images in this order: 50,000 training images, the test images, and the
  // 10,000 training images that earlier benchmarks had kept for validation.
  const Images all = concatenate(official.train, official.test);
  std::vector<std::int64_t> pool(static_cast<std::size_t>(all.n));
  std::iota(pool.begin(), pool.end(), std::int64_t{0});
  const std::int64_t n_train = official.train.n;
  std::rotate(pool.begin() + std::max(std::int64_t{0}, n_train - 10000), pool.begin() + n_train, pool.end());

  const auto is_anomaly = [&](std::int64_t i) { return all.labels[static_cast<std::size_t>(i)] == digit; };
  const auto anomalies =
      std::stable_partition(pool.begin(), pool.end(), [&](std::int64_t i) { return !is_anomaly(i); });

  NumpyRandom random(42);
  random.shuffle(std::span(pool.begin(), anomalies));
  const auto n_normal = anomalies - pool.begin();
  const std::span<std::int64_t> train(pool.data(), static_cast<std::size_t>(n_normal * 4 / 5));
  const std::span<std::int64_t> test = std::span(pool).subspan(train.size());
  random.shuffle(test);

  Split split{subset(all, train), subset(all, test), {}, fmt::format("digit {} is held out", digit)};
  for (const std::int64_t i : test) split.test_is_anomaly.push_back(is_anomaly(i));
  return split;
}

}  // namespace damc
