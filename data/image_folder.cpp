#include "data/image_folder.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cmath>
#include <exception>
#include <string>
#include <thread>

#include "data/image_io.h"
#include "data/resize.h"
#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

/// Calls body(i) for i in [0, n) on all processors; the exception of the smallest i that failed is thrown.
template <typename Body>
void for_each_index(int64_t n, const Body& body) {
  std::atomic<int64_t> next{0};
  std::vector<std::exception_ptr> failures(static_cast<size_t>(n));
  const auto work = [&] {
    for (int64_t i = next++; i < n; i = next++) {
      try {
        body(i);
      } catch (...) {
        failures[static_cast<size_t>(i)] = std::current_exception();
        next = n;  // nobody starts another one; all before i have been started
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 1; t < std::thread::hardware_concurrency(); ++t) threads.emplace_back(work);
    work();
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace

std::vector<fs::path> list_images(const fs::path& place) {
  std::vector<fs::path> paths;
  try {
    if (fs::is_regular_file(place)) return {place};
    for (auto it = fs::recursive_directory_iterator(place); it != fs::recursive_directory_iterator(); ++it) {
      const bool hidden = it->path().filename().string().starts_with('.');
      if (hidden && it->is_directory()) it.disable_recursion_pending();
      if (!hidden && is_image_name(it->path()) && it->is_regular_file()) paths.push_back(it->path());
    }
  } catch (const fs::filesystem_error& error) {
    user_error(fmt::format("cannot read the folder '{}': {}", place.string(), error.code().message()));
  }
  if (paths.empty())
    user_error(fmt::format("no images in '{}'", place.string()), "it should hold .png, .jpg or .jpeg files");
  std::sort(paths.begin(), paths.end(), [](const auto& a, const auto& b) { return a.native() < b.native(); });
  return paths;
}

Images fit_square(const Images& image, const FolderOptions& options) {
  int64_t side = std::min(image.height, image.width);
  // 140/178 of the width, rounded to the nearest.
  if (options.crop == Crop::aligned_face && image.height != image.width) side = (side * 140 + 89) / 178;
  side = std::max(side, int64_t{1});
  const auto offset = [&](int64_t size) {  // halves to even, as torchvision's CenterCrop rounds
    return std::lrint(static_cast<double>(size - side) / 2);
  };
  const Images square = crop(image, offset(image.height), offset(image.width), side, side);
  return side == options.size ? square : resize(square, options.size, options.size);
}

Images read_image_folder(const fs::path& place, const FolderOptions& options) {
  const std::vector<fs::path> paths = list_images(place);
  Images images{static_cast<int64_t>(paths.size()), options.size, options.size, options.channels, {}, {}};
  images.pixels.resize(static_cast<size_t>(images.n * images.image_size()));
  for_each_index(images.n, [&](int64_t i) {
    const Images image = fit_square(read_image(paths[static_cast<size_t>(i)], options.channels), options);
    std::copy(image.pixels.begin(), image.pixels.end(), images.pixels.begin() + i * images.image_size());
  });
  return images;
}

}  // namespace damc
