#include "data/svhn.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "data/layout.h"
#include "data/mat5.h"
#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kSide = 32, kChannels = 3, kImageSize = kSide * kSide * kChannels;
constexpr const char* kSourceHint =
    "take the cropped digits (format 2) from http://ufldl.stanford.edu/housenumbers/";

[[noreturn]] void bad_file(const fs::path& path, const std::string& what) {
  user_error(fmt::format("'{}' {}", path.string(), what), kSourceHint);
}

/// How many images X holds, after checking that it is what it should be.
std::int64_t count_images(const fs::path& path, const MatArray& x) {
  const std::vector<std::int64_t>& sizes = x.sizes;
  const bool right_shape = (sizes.size() == 3 || sizes.size() == 4) &&  // MATLAB drops a last dimension of 1
                           sizes[0] == kSide && sizes[1] == kSide && sizes[2] == kChannels;
  if (!right_shape || x.kind != "uint8" || x.data.size() != static_cast<std::size_t>(x.numel())) {
    bad_file(path, fmt::format("holds an X of {} {} that is not 32 x 32 x 3 x N uint8",
                               fmt::join(sizes, " x "), x.kind));
  }
  if (x.numel() == 0) bad_file(path, "holds no images: the last size of X is 0");
  return x.numel() / kImageSize;
}

/// The digits of y; empty when all are 0, which is no label.
std::vector<std::int32_t> to_labels(const fs::path& path, const MatArray& y, std::int64_t n) {
  if (y.numel() != n) bad_file(path, fmt::format("holds {} labels for {} images", y.numel(), n));
  std::vector<std::int32_t> labels;
  bool any = false;
  for (const double label : y.numbers()) {
    if (!(label >= 0 && label <= 10) || label != std::floor(label)) {
      bad_file(path, fmt::format("holds the label {}; labels are 1..10", label));
    }
    any |= label > 0;
    labels.push_back(static_cast<std::int32_t>(label) % 10);
  }
  return any ? labels : std::vector<std::int32_t>{};
}

/// Column-major 32 x 32 x 3 x N, rows fastest, to N,H,W,C.
std::vector<std::uint8_t> to_nhwc(const std::uint8_t* x, std::int64_t n) {
  std::vector<std::uint8_t> pixels;
  pixels.reserve(static_cast<std::size_t>(n * kImageSize));
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t row = 0; row < kSide; ++row) {
      for (std::int64_t column = 0; column < kSide; ++column) {
        for (std::int64_t c = 0; c < kChannels; ++c) {
          pixels.push_back(x[i * kImageSize + (c * kSide + column) * kSide + row]);
        }
      }
    }
  }
  return pixels;
}

}  // namespace

Images read_svhn_file(const fs::path& path) {
  const std::vector<MatArray> arrays = read_mat5(path, {"X", "y"}, kSourceHint);
  const auto find = [&](std::string_view name) { return std::ranges::find(arrays, name, &MatArray::name); };
  const auto x = find("X"), y = find("y");
  if (x == arrays.end()) bad_file(path, "holds no variable X");
  const std::int64_t n = count_images(path, *x);
  return {n,
          kSide,
          kSide,
          kChannels,
          to_nhwc(reinterpret_cast<const std::uint8_t*>(x->data.data()), n),
          y == arrays.end() ? std::vector<std::int32_t>{} : to_labels(path, *y, n)};
}

Split read_svhn(const fs::path& dir) {
  const Layout layout = find_layout(dir, "svhn");
  if (layout.files.empty()) explain_absence(dir, "svhn");
  const auto path_of = [&](std::string_view name) {
    const auto found = layout.files.find(name);
    return found == layout.files.end() ? fs::path() : found->second;
  };
  fs::path train = path_of("train_32x32.mat");
  const fs::path test = path_of("test_32x32.mat"), extra = path_of("extra_32x32.mat");
  Split split;
  if (!extra.empty()) {
    split.note = train.empty() ? "train_32x32.mat is missing; extra_32x32.mat stands in for it"
                               : "extra_32x32.mat is left out";
  }
  if (train.empty()) train = extra;
  if (train.empty()) {
    user_error(fmt::format("no SVHN in '{}': train_32x32.mat is missing{}", layout.home.string(),
                           files_beside(layout)),
               "put train_32x32.mat and test_32x32.mat from http://ufldl.stanford.edu/housenumbers/ there");
  }
  split.train = read_svhn_file(train);
  if (!test.empty()) split.test = read_svhn_file(test);
  return split;
}

}  // namespace damc
