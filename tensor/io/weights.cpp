#include "tensor/io/weights.h"

#include <array>
#include <span>
#include <string_view>

#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/io/torch_file.h"
#include "tensor/text.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

/// Whether a file holds `text` at a place.
bool holds(InputFile& file, std::int64_t at, std::string_view text) {
  std::array<std::byte, 16> found{};
  const auto size = static_cast<std::int64_t>(text.size());
  if (at + size > file.size()) return false;
  file.read(at, std::span(found).first(text.size()));
  return std::string_view(reinterpret_cast<const char*>(found.data()), text.size()) == text;
}

}  // namespace

bool is_torch_file(const fs::path& path) {
  InputFile file(path);
  return holds(file, 0, "PK\3\4") || is_legacy_torch_file(path);
}

StoredWeights open_weights(const fs::path& path) {
  if (is_torch_file(path)) return flatten(read_torch_file(path), fmt::format("'{}'", path.string()));
  InputFile file(path);
  const char* what = holds(file, 0, "\x89HDF")   ? "an HDF5 file, as Keras and MATLAB write them"
                     : holds(file, 257, "ustar") ? "a tar archive, as PyTorch 0.1 wrote them"
                     : holds(file, 0, "\x80\2") || holds(file, 0, "\x80\3") || holds(file, 0, "\x80\4")
                         ? "a Python pickle, not one of PyTorch"
                         : nullptr;
  if (what) {
    user_error(fmt::format("'{}': {}, which is not read", path.string(), what),
               "convert it to safetensors, or load it in Python and torch.save its tensors");
  }
  return open_safetensors(path);
}

Weights read_weights(const fs::path& path) { return read_all(open_weights(path)); }

}  // namespace damc
