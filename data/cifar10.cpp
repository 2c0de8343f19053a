#include "data/cifar10.h"

#include <fmt/ranges.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/gzip.h"
#include "data/kinds.h"
#include "data/layout.h"
#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kSide = 32, kPlane = kSide * kSide, kRecord = 1 + 3 * kPlane;
constexpr std::int64_t kMaxFileBytes = std::int64_t{1}
                                       << 30;  // the official kCifar10Files have 30,730,000 bytes

/// Appends the images of one file to `images`, from planes to interleaved colours in `pixels`.
void append_file(const fs::path& path, Images& images, std::vector<std::uint8_t>& pixels) {
  const std::vector<std::uint8_t> bytes = read_gzip(path, kMaxFileBytes);
  const auto size = static_cast<std::int64_t>(bytes.size());
  if (size == 0 || size % kRecord != 0) {
    user_error(fmt::format("'{}' has {} bytes, which is not a number of {}-byte records", path.string(), size,
                           kRecord),
               "unpack cifar-10-binary.tar.gz again");
  }
  for (std::int64_t i = 0; i < size / kRecord; ++i) {
    const std::uint8_t* source = bytes.data() + i * kRecord;
    const int label = *source++;
    if (label > 9) {
      user_error(fmt::format("'{}': record {} has the label {}; labels are 0..9", path.string(), i, label),
                 "unpack cifar-10-binary.tar.gz again");
    }
    images.labels.push_back(label);
    for (std::int64_t p = 0; p < kPlane; ++p) {
      for (std::int64_t c = 0; c < 3; ++c) pixels.push_back(source[c * kPlane + p]);
    }
  }
  images.n += size / kRecord;
}

}  // namespace

Split read_cifar10(const fs::path& dir) {
  const Layout layout = find_layout(dir, "cifar10");
  if (layout.files.empty()) explain_absence(dir, "cifar10");
  std::vector<std::string_view> missing;
  for (const std::string_view name : kCifar10Files) {
    if (!layout.files.contains(name)) missing.push_back(name);
  }
  if (!missing.empty()) {
    user_error(fmt::format("no CIFAR-10 in '{}': {} missing{}", layout.home.string(),
                           fmt::join(missing, ", "), files_beside(layout)),
               "put the six files, plain or .gz, there: unpack cifar-10-binary.tar.gz from "
               "https://www.cs.toronto.edu/~kriz/cifar.html");
  }
  Split split;
  std::vector<std::uint8_t> train, test;
  for (Images* part : {&split.train, &split.test}) *part = {0, kSide, kSide, 3, {}, {}};
  for (const std::string_view name : kCifar10Files) {
    const fs::path& path = layout.files.find(name)->second;
    const bool tests = name == "test_batch.bin";
    append_file(path, tests ? split.test : split.train, tests ? test : train);
  }
  split.train.pixels = std::move(train);
  split.test.pixels = std::move(test);
  return split;
}

}  // namespace damc
