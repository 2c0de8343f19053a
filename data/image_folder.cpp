#include "data/image_folder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <string>
#include <string_view>
#include <thread>

#include "data/file_tree.h"
#include "data/image_io.h"
#include "data/layout.h"
#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr std::array<std::string_view, 11> kImageEndings{".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp",
                                                         ".ppm", ".pgm", ".pnm",  ".tga", ".gif"};

/// Calls body(i) for i in [0, n) on all processors; the exception of the smallest i that failed is thrown.
template <typename Body>
void for_each_index(std::int64_t n, const Body& body) {
  std::atomic<std::int64_t> next{0};
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(n));
  const auto work = [&] {
    for (std::int64_t i = next++; i < n; i = next++) {
      try {
        body(i);
      } catch (...) {
        failures[static_cast<std::size_t>(i)] = std::current_exception();
        next = n;  // nobody starts another one; all before i have been started
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 1; t < std::thread::hardware_concurrency(); ++t) threads.emplace_back(work);
    work();
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace

ImageFiles list_images(const fs::path& place) {
  std::error_code error;
  if (fs::is_regular_file(place, error)) return {{place}, {}};
  FileTree tree = list_files(place);
  if (!tree.unreadable.empty()) {
    user_error(fmt::format("cannot read the folder '{}'", tree.unreadable[0].string()));
  }
  const auto is_read = [](const fs::path& path) {
    return std::ranges::find(kImageEndings, ending(path)) != kImageEndings.end();
  };
  const auto others = std::stable_partition(tree.files.begin(), tree.files.end(), is_read);
  const std::string left_out = summary({others, tree.files.end()}, tree);
  tree.files.erase(others, tree.files.end());
  if (!tree.files.empty()) return {std::move(tree.files), left_out};
  explain_absence(place, "images");
  user_error(fmt::format("no images in '{}': it {}", place.string(),
                         left_out.empty() ? "is empty" : "holds " + left_out),
             fmt::format("it should hold {} files", fmt::join(kImageEndings, ", ")));
}

Images read_images(const std::vector<fs::path>& paths, const Fitting& fitting) {
  Images images{
      static_cast<std::int64_t>(paths.size()), fitting.size, fitting.size, fitting.channels, {}, {}};
  images.pixels.resize(static_cast<std::size_t>(images.n * images.image_size()));
  for_each_index(images.n, [&](std::int64_t i) {
    const Images image =
        fit_square(read_image(paths[static_cast<std::size_t>(i)], fitting.channels), fitting);
    std::copy(image.pixels.begin(), image.pixels.end(), images.pixels.begin() + i * images.image_size());
  });
  return images;
}

}  // namespace damc
