#include "data/packed.h"

#include <utility>

#include "data/idx.h"
#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr const char* kFileName = "images-idx4-ubyte";

fs::path find_packed(const fs::path& dir) {
  for (const char* suffix : {"", ".gz"}) {
    if (fs::path path = dir / (std::string(kFileName) + suffix); fs::exists(path)) return path;
  }
  return {};
}

}  // namespace

bool is_packed(const fs::path& dir) { return !find_packed(dir).empty(); }

Images read_packed(const fs::path& dir) {
  const fs::path path = find_packed(dir);
  Idx file = read_idx(path.empty() ? dir / kFileName : path, 4);
  const auto& sizes = file.sizes;
  return {sizes[0], sizes[1], sizes[2], sizes[3], std::move(file.bytes), {}};
}

void write_packed(const fs::path& dir, const Images& images) {
  std::error_code error;
  fs::create_directories(dir, error);
  ENSURE(!error, "cannot create the folder '{}': {}", dir.string(), error.message());
  write_idx(dir / kFileName, {images.n, images.height, images.width, images.channels}, images.pixels);
}

}  // namespace damc
