/// The element types of PyTorch's storages, by its names and by those of safetensors.
#pragma once

#include <algorithm>
#include <iterator>
#include <string_view>

namespace damc {

struct TorchStorageType {
  std::string_view dtype, name;
};
inline constexpr TorchStorageType kTorchStorageTypes[] = {
    {"F32", "FloatStorage"},
    {"F64", "DoubleStorage"},
    {"F16", "HalfStorage"},
    {"BF16", "BFloat16Storage"},
    {"I64", "LongStorage"},
    {"I32", "IntStorage"},
    {"I16", "ShortStorage"},
    {"I8", "CharStorage"},
    {"U8", "ByteStorage"},
    {"BOOL", "BoolStorage"},
    {"C64", "ComplexFloatStorage"},
    {"U8", "storage.UntypedStorage"},  // bytes of a type that the tensor names
};

/// The row in which a column holds a value; null: none does.
inline const TorchStorageType* find_torch_storage(std::string_view TorchStorageType::*column,
                                                  std::string_view value) {
  const auto* found = std::ranges::find(kTorchStorageTypes, value, column);
  return found == std::end(kTorchStorageTypes) ? nullptr : found;
}

}  // namespace damc
