/// `verify` of describe.h: a data folder against the official release.
#include <zlib.h>

#include <array>
#include <functional>
#include <string>
#include <utility>

#include "data/cifar10.h"
#include "data/describe.h"
#include "data/idx.h"
#include "data/image_folder.h"
#include "data/image_io.h"
#include "data/mnist.h"
#include "data/packed.h"
#include "data/svhn.h"
#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

struct KnownIdx {
  int64_t n;
  int rank;
  uLong crc32;  // of the elements, without the header
};
constexpr std::array<KnownIdx, 4> known_mnist{
    {{60000, 3, 0xf3639b56}, {60000, 1, 0xba07e8ef}, {10000, 3, 0xe4ca5f57}, {10000, 1, 0xee8604d9}}};

/// The check that `look` makes, or the reason for which it could not: an error's first line.
Check check(const std::string& subject, const std::function<Check()>& look) {
  try {
    return look();
  } catch (const Error& error) {
    const std::string what = error.what();
    return {false, subject, what.substr(0, what.find('\n'))};
  }
}

Check check_count(const std::string& subject, int64_t found, int64_t expected) {
  return {found == expected, subject,
          found == expected ? fmt::format("{} images", found)
                            : fmt::format("{} images; the official set has {}", found, expected)};
}

std::vector<Check> verify_mnist(const fs::path& dir) {
  std::vector<Check> checks;
  for (size_t i = 0; i < mnist_files.size(); ++i) {
    const std::string name(mnist_files[i]);
    const KnownIdx& known = known_mnist[i];
    checks.push_back(check(name, [&]() -> Check {
      const fs::path path = find_mnist_file(dir, name);
      if (path.empty()) return {false, name, "missing"};
      const Idx idx = read_idx(path, known.rank);
      const uLong crc = crc32_z(0, idx.bytes.data(), idx.bytes.size());
      if (idx.sizes[0] == known.n && crc == known.crc32)
        return {true, name, fmt::format("crc32 {:08x}", crc)};
      return {false, name,
              fmt::format("{} elements with crc32 {:08x}; the official file has {} with {:08x}", idx.sizes[0],
                          crc, known.n, known.crc32)};
    }));
  }
  return checks;
}

/// Training and test part against their official sizes.
std::vector<Check> verify_counts(const std::function<Split()>& read, int64_t n_train, int64_t n_test) {
  std::vector<Check> checks;
  const Check failure = check("data set", [&]() -> Check {
    const Split split = read();
    checks = {check_count("training", split.train.n, n_train), check_count("test", split.test.n, n_test)};
    for (const auto& [name, part] : {std::pair{"training", &split.train}, {"test", &split.test}})
      if (part->n > 0 && part->labels.empty()) checks.push_back({false, name, "the labels are unknown"});
    return {true, {}, {}};
  });
  if (!failure.ok) checks.push_back(failure);
  return checks;
}

std::vector<Check> verify_images(const fs::path& dir) {
  std::vector<Check> failures;
  std::vector<fs::path> paths;
  const Check listing = check("folder", [&]() -> Check {
    paths = list_images(dir);
    return {true, {}, {}};
  });
  if (!listing.ok) return {listing};
  for (const fs::path& path : paths) {
    const std::string name = fs::relative(path, dir).string();
    const Check decoded = check(name, [&]() -> Check {
      read_image(path);
      return {true, name, {}};
    });
    if (!decoded.ok) failures.push_back(decoded);
  }
  std::vector<Check> checks{
      {failures.empty(), "folder",
       fmt::format("{} of {} images decode", paths.size() - failures.size(), paths.size())}};
  checks.insert(checks.end(), failures.begin(), failures.end());
  return checks;
}

}  // namespace

std::vector<Check> verify(const fs::path& dir) {
  const std::string format = detect_format(dir);
  if (format == "mnist") return verify_mnist(dir);
  if (format == "cifar10") return verify_counts([&] { return read_cifar10(dir); }, 50000, 10000);
  if (format == "svhn") return verify_counts([&] { return read_svhn(dir); }, 73257, 26032);
  if (format == "images") return verify_images(dir);
  return {check("images-idx4-ubyte", [&]() -> Check {
    return {true, "images-idx4-ubyte", fmt::format("{} images", read_packed(dir).n)};
  })};
}

}  // namespace damc
