/// `verify` of describe.h: a data folder against the official release.
#include <zlib.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "data/dataset.h"
#include "data/describe.h"
#include "data/idx.h"
#include "data/image_folder.h"
#include "data/image_io.h"
#include "data/layout.h"
#include "data/packed.h"
#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

struct KnownIdx {
  std::int64_t n;
  int rank;
  uLong crc32;  // of the elements, without the header
};
constexpr std::array<KnownIdx, 4> kKnownMnist{
    {{60000, 3, 0xf3639b56}, {60000, 1, 0xba07e8ef}, {10000, 3, 0xe4ca5f57}, {10000, 1, 0xee8604d9}}};

/// The check that `look` makes, or the reason for which it could not.
Check check(const std::string& subject, const std::function<Check()>& look) {
  try {
    return look();
  } catch (const Error& error) {
    const std::string what = error.what();
    constexpr std::string_view kMark = "\nhint: ";
    const std::size_t end = std::min(what.find(kMark), what.size());
    return {false, subject, what.substr(0, end), what.substr(std::min(end + kMark.size(), what.size()))};
  }
}

Check check_count(const std::string& subject, std::int64_t found, std::int64_t expected) {
  return {found == expected, subject,
          found == expected ? fmt::format("{} images", found)
                            : fmt::format("{} images; the official set has {}", found, expected)};
}

std::vector<Check> verify_mnist(const Layout& layout) {
  std::vector<Check> checks;
  for (std::size_t i = 0; i < kMnistFiles.size(); ++i) {
    const std::string name(kMnistFiles[i]);
    const KnownIdx& known = kKnownMnist[i];
    checks.push_back(check(name, [&]() -> Check {
      const auto file = layout.files.find(name);
      if (file == layout.files.end()) return {false, name, "missing"};
      const Idx idx = read_idx(file->second, known.rank);
      const uLong crc = crc32_z(0, idx.bytes.data(), idx.bytes.size());
      if (idx.sizes[0] == known.n && crc == known.crc32) {
        return {true, name, fmt::format("crc32 {:08x}", crc)};
      }
      return {false, name,
              fmt::format("{} elements with crc32 {:08x}; the official file has {} with {:08x}", idx.sizes[0],
                          crc, known.n, known.crc32)};
    }));
  }
  return checks;
}

/// Training and test part against their official sizes.
std::vector<Check> verify_counts(const Kind& kind, const fs::path& dir, std::int64_t n_train,
                                 std::int64_t n_test) {
  std::vector<Check> checks;
  const Check failure = check("data set", [&]() -> Check {
    const Split split = read_official(kind, dir);
    checks = {check_count("training", split.train.n, n_train), check_count("test", split.test.n, n_test)};
    if (!split.note.empty()) checks.push_back({true, "note", split.note});
    for (const auto& [name, part] : {std::pair{"training", &split.train}, {"test", &split.test}}) {
      if (part->n > 0 && part->labels.empty()) checks.push_back({false, name, "the labels are unknown"});
    }
    return {true, {}, {}};
  });
  if (!failure.ok) checks.push_back(failure);
  return checks;
}

std::vector<Check> verify_images(const fs::path& dir) {
  std::vector<Check> failures;
  const ImageFiles files = list_images(dir);
  for (const fs::path& path : files.paths) {
    const std::string name = path.lexically_relative(dir).string();
    const Check decoded = check(name, [&]() -> Check {
      read_image(path);
      return {true, name, {}};
    });
    if (!decoded.ok) failures.push_back(decoded);
  }
  std::vector<Check> checks{
      {failures.empty(), "folder",
       fmt::format("{} of {} images decode", files.paths.size() - failures.size(), files.paths.size())}};
  if (!files.left_out.empty()) checks.push_back({true, "left out", files.left_out});
  checks.insert(checks.end(), failures.begin(), failures.end());
  return checks;
}

}  // namespace

std::vector<Check> verify(const fs::path& dir) {
  const Layout layout = find_layout(dir);
  if (layout.format == "images") return verify_images(dir);
  if (layout.format != "packed") {
    const Kind& kind = find_kind(layout.format);
    if (layout.variant == "emnist-digits") return verify_counts(kind, dir, 240000, 40000);
    const bool has_checksums = kind.name == "mnist" && layout.variant.empty();
    return has_checksums ? verify_mnist(layout) : verify_counts(kind, dir, kind.n_train, kind.n_test);
  }
  return {check("images-idx4-ubyte", [&]() -> Check {
    return {true, "images-idx4-ubyte", fmt::format("{} images", read_packed(dir).n)};
  })};
}

}  // namespace damc
