#include "data/mnist.h"

#include <fmt/ranges.h>
#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "data/idx.h"
#include "data/numpy_random.h"
#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

Images read_part(const fs::path& image_file, const fs::path& label_file) {
  Idx images = read_idx(image_file, 3);
  const Idx labels = read_idx(label_file, 1);
  if (images.sizes[1] != 28 || images.sizes[2] != 28)
    user_error(fmt::format("'{}' holds images of {}x{}, not 28x28", image_file.string(), images.sizes[1],
                           images.sizes[2]));
  if (images.sizes[0] != labels.sizes[0])
    user_error(fmt::format("'{}' holds {} images, but '{}' {} labels", image_file.string(), images.sizes[0],
                           label_file.string(), labels.sizes[0]),
               "take both files from the same source");
  if (const uint8_t largest = *std::max_element(labels.bytes.begin(), labels.bytes.end()); largest > 9)
    user_error(fmt::format("'{}' holds the label {}; digits are 0..9", label_file.string(), largest));
  return {images.sizes[0], 28, 28, 1, std::move(images.bytes), {labels.bytes.begin(), labels.bytes.end()}};
}

}  // namespace

fs::path find_mnist_file(const fs::path& dir, std::string_view name) {
  for (const std::string suffix : {"", ".gz"})
    if (fs::path path = dir / (std::string(name) + suffix); fs::exists(path)) return path;
  return {};
}

Split read_mnist(const fs::path& dir) {
  std::array<fs::path, 4> paths;
  std::vector<std::string_view> missing;
  for (size_t i = 0; i < mnist_files.size(); ++i) {
    paths[i] = find_mnist_file(dir, mnist_files[i]);
    if (paths[i].empty()) missing.push_back(mnist_files[i]);
  }
  if (!missing.empty())
    user_error(fmt::format("no MNIST in '{}': {} missing", dir.string(), fmt::join(missing, ", ")),
               "put the four files, plain or .gz, into that folder; this project carries them in data/mnist, "
               "and https://ossci-datasets.s3.amazonaws.com/mnist/ has them, too");
  return {read_part(paths[0], paths[1]), read_part(paths[2], paths[3]), {}, {}};
}

Split hold_out_digit(const Split& official, int digit) {
  if (digit < 0 || digit > 9)
    user_error(fmt::format("held-out digit {} is not a digit", digit), "use 0 to 9");
  ENSURE(!official.train.labels.empty() && !official.test.labels.empty(), "holding out a digit needs labels");

  // The published results pool the images in this order: 50,000 training images, the test images, and the
  // 10,000 training images that earlier benchmarks had kept for validation.
  const Images all = concatenate(official.train, official.test);
  std::vector<int64_t> pool(static_cast<size_t>(all.n));
  std::iota(pool.begin(), pool.end(), int64_t{0});
  const int64_t n_train = official.train.n;
  std::rotate(pool.begin() + std::max(int64_t{0}, n_train - 10000), pool.begin() + n_train, pool.end());

  const auto is_anomaly = [&](int64_t i) { return all.labels[static_cast<size_t>(i)] == digit; };
  const auto anomalies =
      std::stable_partition(pool.begin(), pool.end(), [&](int64_t i) { return !is_anomaly(i); });

  NumpyRandom random(42);
  random.shuffle(std::span(pool.begin(), anomalies));
  const auto n_normal = anomalies - pool.begin();
  const std::span<int64_t> train(pool.data(), static_cast<size_t>(n_normal * 4 / 5));
  const std::span<int64_t> test = std::span(pool).subspan(train.size());
  random.shuffle(test);

  Split split{subset(all, train), subset(all, test), {}, fmt::format("digit {} is held out", digit)};
  for (const int64_t i : test) split.test_is_anomaly.push_back(is_anomaly(i));
  return split;
}

}  // namespace damc
