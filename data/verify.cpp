/// `verify` of describe.h: a data folder against the official release.
#include <md5.h>
#include <zlib.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/dataset.h"
#include "data/describe.h"
#include "data/gzip.h"
#include "data/image_set.h"
#include "data/layout.h"
#include "data/packed.h"
#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

/// What is wrong with `subject`: a message, with its hint apart.
Check failed(const std::string& subject, const std::string& message) {
  constexpr std::string_view kMark = "\nhint: ";
  const std::size_t end = std::min(message.find(kMark), message.size());
  return {false, subject, message.substr(0, end),
          message.substr(std::min(end + kMark.size(), message.size()))};
}

/// The check that `look` makes, or the reason for which it could not.
Check check(const std::string& subject, const std::function<Check()>& look) {
  try {
    return look();
  } catch (const Error& error) {
    return failed(subject, error.what());
  }
}

Check check_count(const std::string& subject, std::int64_t found, std::int64_t expected) {
  return {found == expected, subject,
          found == expected ? fmt::format("{} images", found)
                            : fmt::format("{} images; the official set has {}", found, expected)};
}

/// The MD5 of a file, unpacked.
std::string md5(const fs::path& path) {
  GzipReader file(path);
  MD5_CTX state;
  MD5Init(&state);
  std::vector<std::uint8_t> portion(std::size_t{1} << 20);
  for (std::size_t n = portion.size(); n == portion.size();) {
    n = file.read_some(portion);
    MD5Update(&state, portion.data(), n);
  }
  file.expect_end();
  char text[MD5_DIGEST_STRING_LENGTH];
  return MD5End(&state, text);
}

/// The files of a release against the checksums that are published.
std::vector<Check> verify_files(const Kind& kind, const Layout& layout) {
  std::vector<Check> checks;
  for (std::size_t i = 0; i < kind.md5.size(); ++i) {
    const std::string name(kind.files[i]);
    const auto file = layout.files.find(name);
    if (file == layout.files.end()) {
      checks.push_back({false, name, "missing"});
      continue;
    }
    checks.push_back(check(name, [&]() -> Check {
      const std::string found = md5(file->second);
      if (found == kind.md5[i]) return {true, name, fmt::format("md5 {}", found)};
      return {false, name, fmt::format("md5 {}; the official file has {}", found, kind.md5[i])};
    }));
  }
  return checks;
}

/// The pixels of a part, whatever the order of its images.
Check check_sum(const std::string& subject, const Images& images, std::uint64_t expected) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < images.n; ++i) {
    const std::span<const std::uint8_t> image = images.image(i);
    sum += crc32_z(0, image.data(), image.size());
  }
  return {sum == expected, subject,
          sum == expected ? fmt::format("sum of crc32 {}", sum)
                          : fmt::format("sum of crc32 {}; the official images have {}", sum, expected)};
}

/// Training and test part against their official sizes.
std::vector<Check> verify_counts(const Kind& kind, const fs::path& dir, std::int64_t n_train,
                                 std::int64_t n_test) {
  std::vector<Check> checks;
  const Check failure = check("data set", [&]() -> Check {
    const Split split = read_official(kind, dir);
    checks = {check_count("training", split.train.n, n_train), check_count("test", split.test.n, n_test)};
    const bool official = n_train == kind.n_train && kind.train_sum > 0;
    if (official && checks[0].ok) checks.push_back(check_sum("training", split.train, kind.train_sum));
    if (official && checks[1].ok) checks.push_back(check_sum("test", split.test, kind.test_sum));
    if (!split.note.empty()) checks.push_back({true, "note", split.note});
    for (const auto& [name, part] : {std::pair{"training", &split.train}, {"test", &split.test}}) {
      if (part->n > 0 && part->labels.empty()) checks.push_back({false, name, "the labels are unknown"});
    }
    return {true, {}, {}};
  });
  if (!failure.ok) checks.push_back(failure);
  return checks;
}

/// How many of them a release has in all; 0 where that is not known.
std::int64_t official_count(const ImageSet& set) {
  return set.official ? set.official->n_train + set.official->n_test : 0;
}

std::vector<Check> verify_images(const fs::path& dir) {
  const ImageSet set = find_images(dir);
  const ImageSource& source = *set.source;
  std::vector<Check> failures;
  for (const auto& [i, message] : find_damaged(source)) {
    const fs::path path = source.name(i), below = path.lexically_relative(dir);
    failures.push_back(failed((below.empty() ? path : below).string(), message));
  }
  std::vector<Check> checks{
      {failures.empty(), "folder",
       fmt::format("{} of {} images decode", source.size() - std::ssize(failures), source.size())}};
  if (official_count(set) > 0) checks.push_back(check_count(set.title, source.size(), official_count(set)));
  if (!set.left_out.empty()) checks.push_back({true, "left out", set.left_out});
  checks.insert(checks.end(), failures.begin(), failures.end());
  return checks;
}

}  // namespace

std::vector<Check> verify(const fs::path& dir) {
  const Layout layout = find_layout(dir);
  if (layout.format == "packed") {
    return {check("images-idx4-ubyte", [&]() -> Check {
      return {true, "images-idx4-ubyte", fmt::format("{} images", read_packed(dir).images.n)};
    })};
  }
  if (layout.format == "images" || find_kind(layout.format).store != Store::files) return verify_images(dir);
  const Kind& kind = find_kind(layout.format);
  if (layout.variant == "emnist-digits") return verify_counts(kind, dir, 240000, 40000);
  const bool has_md5 = !kind.md5.empty() && layout.variant.empty();
  return has_md5 ? verify_files(kind, layout) : verify_counts(kind, dir, kind.n_train, kind.n_test);
}

}  // namespace damc
