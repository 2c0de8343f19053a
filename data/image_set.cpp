#include "data/image_set.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <span>
#include <string_view>
#include <vector>

#include "data/image_folder.h"
#include "data/layout.h"
#include "tensor/error.h"
#include "tensor/io/file.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr const char* kOwnImages = "a folder of images";
constexpr std::string_view kTraining[] = {"train", "training"};
constexpr std::string_view kTest[] = {"test", "testing", "val", "valid", "validation"};

/// A folder's name in lower case, of those that `path` goes through the one after the first `depth`; empty where there
/// is none.
std::string folder_of(const fs::path& path, std::ptrdiff_t depth) {
  if (std::distance(path.begin(), path.end()) < depth + 2) return {};
  std::string name = std::next(path.begin(), depth)->string();
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

/// Divides images that lie in a train/ and a test/ (or val/): they come in this order, and any beside them are left out.
/// How many train; 0 where there are no such folders.
std::int64_t divide_by_folders(ImageFiles& files) {
  // What the first and the last path in byte order share, all do.
  const fs::path &first = files.paths.front(), &last = files.paths.back();
  const auto differ = std::mismatch(first.begin(), first.end(), last.begin(), last.end()).first;
  const std::ptrdiff_t depth = std::distance(first.begin(), differ);
  const auto found_in = [&](std::span<const std::string_view> names) {
    std::vector<fs::path> found;
    for (auto name = names.begin(); name != names.end() && found.empty(); ++name) {
      std::ranges::copy_if(files.paths, std::back_inserter(found),
                           [&](const fs::path& path) { return folder_of(path, depth) == *name; });
    }
    return found;
  };
  std::vector<fs::path> divided = found_in(kTraining);
  const std::vector<fs::path> test = found_in(kTest);
  if (divided.empty() || test.empty()) return 0;
  const auto n_train = std::ssize(divided);
  divided.insert(divided.end(), test.begin(), test.end());
  if (const auto beside = std::ssize(files.paths) - std::ssize(divided); beside > 0) {
    files.left_out += fmt::format("{}{} images beside those to train and test on",
                                  files.left_out.empty() ? "" : ", ", beside);
  }
  files.paths = std::move(divided);
  return n_train;
}

ImageSet open_databases(const Layout& layout) {
  const Kind& lsun = find_kind(layout.format);
  std::vector<fs::path> files;
  for (const std::string_view name : lsun.files) {
    if (const auto file = layout.files.find(name); file != layout.files.end()) files.push_back(file->second);
  }
  auto databases = std::make_unique<ImageDatabases>(files);
  if (databases->size() == 0) user_error(fmt::format("'{}' holds no images", files[0].string()));
  const std::int64_t n_train = files.size() > 1 ? databases->size_of_first() : 0;
  const std::string title =
      layout.variant.empty() ? std::string(lsun.title) : fmt::format("{} {}", lsun.title, layout.variant);
  return {std::move(databases), &lsun, n_train, title, {}};
}

}  // namespace

Fitting ImageSet::fitted(const Fitting& wanted) const {
  if (!official) return wanted;
  return {wanted.size, wanted.channels, official->fitting.crop, official->fitting.filter};
}

ImageSet find_images(const fs::path& place) {
  if (fs::is_regular_file(status_of(place))) {
    return {std::make_unique<ImagePaths>(list_images(place).paths), nullptr, 0, kOwnImages, {}};
  }
  const Layout layout = find_layout(place, "lsun");
  if (!layout.files.empty()) return open_databases(layout);
  ImageFiles files = list_images(layout.home);
  const std::int64_t n_train = layout.format == "images" ? divide_by_folders(files) : 0;
  auto source = std::make_unique<ImagePaths>(std::move(files.paths));
  if (layout.format == "images") return {std::move(source), nullptr, n_train, kOwnImages, files.left_out};
  const Kind& kind = find_kind(layout.format);
  return {std::move(source), &kind, kind.n_train, std::string(kind.title), files.left_out};
}

bool holds_images(const fs::path& dir) {
  const Layout layout = find_layout(dir, "lsun");
  return !layout.files.empty() || has_images(layout.home);
}

}  // namespace damc
