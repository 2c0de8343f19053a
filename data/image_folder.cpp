#include "data/image_folder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "data/file_tree.h"
#include "data/layout.h"
#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr std::array<std::string_view, 12> kImageEndings{".png", ".webp", ".jpg", ".jpeg", ".jpe", ".jfif",
                                                         ".bmp", ".ppm",  ".pgm", ".pnm",  ".tga", ".gif"};

bool is_image(const fs::path& path) {
  return std::ranges::find(kImageEndings, ending(path)) != kImageEndings.end();
}

}  // namespace

bool has_images(const fs::path& dir) { return std::ranges::any_of(list_files(dir).files, is_image); }

ImageFiles list_images(const fs::path& place) {
  std::error_code error;
  if (fs::is_regular_file(place, error)) return {{place}, {}};
  FileTree tree = list_files(place);
  refuse_unreadable(tree);
  const auto others = std::stable_partition(tree.files.begin(), tree.files.end(), is_image);
  const std::string left_out = summary({others, tree.files.end()}, tree);
  tree.files.erase(others, tree.files.end());
  if (!tree.files.empty()) return {std::move(tree.files), left_out};
  explain_absence(place, "images");
  user_error(fmt::format("no images in '{}': it {}", place.string(),
                         left_out.empty() ? "is empty" : "holds " + left_out),
             fmt::format("it should hold {} files", fmt::join(kImageEndings, ", ")));
}

}  // namespace damc
