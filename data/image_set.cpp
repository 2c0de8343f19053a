#include "data/image_set.h"

#include <vector>

#include "data/image_folder.h"
#include "data/layout.h"
#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr const char* kOwnImages = "a folder of images";

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
  std::error_code error;
  if (!fs::is_directory(place, error)) {
    return {std::make_unique<ImagePaths>(list_images(place).paths), nullptr, 0, kOwnImages, {}};
  }
  const Layout layout = find_layout(place, "lsun");
  if (!layout.files.empty()) return open_databases(layout);
  ImageFiles files = list_images(layout.home);
  auto source = std::make_unique<ImagePaths>(std::move(files.paths));
  if (layout.format == "images") return {std::move(source), nullptr, 0, kOwnImages, files.left_out};
  const Kind& kind = find_kind(layout.format);
  return {std::move(source), &kind, kind.n_train, std::string(kind.title), files.left_out};
}

bool holds_images(const fs::path& dir) {
  const Layout layout = find_layout(dir, "lsun");
  return !layout.files.empty() || has_images(layout.home);
}

}  // namespace damc
