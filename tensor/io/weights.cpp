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

constexpr const char* kConvert = "convert it to safetensors, or load it in Python and torch.save its tensors";
constexpr const char* kDownload = "the download failed: get the file itself";
constexpr const char* kGive = "give a file of weights: safetensors, or one of PyTorch's";

/// Files that are taken for weights, by how they begin.
struct OtherKind {
  std::int64_t at;
  std::string_view begins;
  const char *what, *hint;
};
constexpr OtherKind kOtherKinds[] = {
    {0, "\x89HDF", "an HDF5 file, as Keras and MATLAB write them", kConvert},
    {257, "ustar", "a tar archive, as PyTorch 0.1 wrote them", kConvert},
    {0, "\x80\2", "a Python pickle, not one of PyTorch", kConvert},
    {0, "\x80\3", "a Python pickle, not one of PyTorch", kConvert},
    {0, "\x80\4", "a Python pickle, not one of PyTorch", kConvert},
    {0, "\x80\5", "a Python pickle, not one of PyTorch", kConvert},
    {0, "GGUF", "a GGUF file", kConvert},
    {0, "\x1f\x8b", "compressed by gzip", "unpack it first"},
    {0, "version https://", "a pointer of Git LFS", "get the file itself: git lfs pull"},
    {0, "<!DOCTYPE", "a web page", kDownload},
    {0, "<!doctype", "a web page", kDownload},
    {0, "<html", "a web page", kDownload},
    {0, "\x89PNG", "a PNG image", kGive},
    {0, "\xff\xd8\xff", "a JPEG image", kGive},
    {0, "\x93NUMPY", "an array of NumPy", kGive},
    {0, "{", "JSON, as the index of a model in several files",
     "join the files in Python: safetensors.torch.save_file of all their tensors"},
};

}  // namespace

bool is_torch_file(const fs::path& path) {
  InputFile file(path);
  return holds(file, 0, "PK\3\4") || is_legacy_torch_file(path);
}

StoredWeights open_weights(const fs::path& path) {
  if (is_torch_file(path)) return flatten(read_torch_file(path), fmt::format("'{}'", path.string()));
  InputFile file(path);
  // First: the length before it may look like another kind's beginning, 640 like a pickle's.
  if (holds(file, 8, "{")) return open_safetensors(path);
  for (const OtherKind& other : kOtherKinds) {
    if (holds(file, other.at, other.begins))
      user_error(fmt::format("'{}' is {}, not a file of weights that is read", path.string(), other.what),
                 other.hint);
  }
  if (file.size() > 8) {
    user_error(
        fmt::format("'{}' is no file of weights: neither safetensors nor one of PyTorch's", path.string()),
        kConvert);
  }
  return open_safetensors(path);
}

Weights read_weights(const fs::path& path) { return read_all(open_weights(path)); }

}  // namespace damc
