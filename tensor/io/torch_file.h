/// PyTorch's files of tensors (.pth, .pt, .pth.tar): what torch.save writes, read without running anything of it, and
/// written so that torch.load(weights_only=True) takes it.
///
/// A file is a pickle and the tensors' memories beside it: in a zip archive (PyTorch 1.6 and later), or one after the
/// other (before). Tensors may be views of any strides, and several may share one memory. Only values that hold data
/// are built (pickle.h); a few types that checkpoints carry beside tensors are recognised and left out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tensor/io/stored_tensor.h"

namespace damc {

struct TorchValue;
struct TorchItem;
using TorchList = std::vector<TorchValue>;
using TorchDict = std::vector<TorchItem>;

/// A value of a type that is not read, "argparse.Namespace".
struct TorchOther {
  std::string type;
};

/// What torch.save is given: nested dictionaries, lists (or tuples), tensors, numbers and texts. std::monostate is None.
struct TorchValue {
  std::variant<std::monostate, bool, std::int64_t, double, std::string, StoredTensor, TorchList, TorchDict,
               TorchOther>
      content;

  /// The content if it is of a type, else null.
  template <class T>
  const T* as() const {
    return std::get_if<T>(&content);
  }
  /// The value of a key if this is a dictionary that has it, else null.
  const TorchValue* find(const std::string& key) const;
};

/// An entry of a dictionary, which keeps the order of its writing.
struct TorchItem {
  std::variant<std::int64_t, std::string> key;
  TorchValue value;
};

/// Whether a file's first bytes are those of PyTorch's older form, which is no zip archive.
bool is_legacy_torch_file(const std::filesystem::path& path);

/// Reads the structure of a file of either form; data are read when they are asked for. Throws UserError with the file
/// and the reason for what is damaged, calls what is no tensor, or is of another kind (TorchScript, a whole module).
TorchValue read_torch_file(const std::filesystem::path& path);

/// All tensors of nested dictionaries and lists by their keys, joined by dots; numbers and texts become metadata, in
/// JSON's notation where a text could be mistaken for one; the places of what is of another type are `left_out`. Throws
/// UserError, beginning with `where`, when two values get one name.
StoredWeights flatten(const TorchValue& root, const std::string& where);

/// Writes a file of the newer form, streamed, through an AtomicFile. Throws UserError for element types that PyTorch has
/// no storage of, or when a tensor cannot be read; Error when the file cannot be written.
void write_torch_file(const std::filesystem::path& path, const TorchValue& root);

/// A metadata's text as flatten() gives it for a number, text or list of those, and back.
std::string text_of(const TorchValue& value);
TorchValue value_of(const std::string& text);

}  // namespace damc
