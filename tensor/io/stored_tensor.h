/// Tensors as files of weights hold them: of any element type and number of dimensions, their data read when it is
/// asked for, so that a file is listed or converted without all of it in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace damc {

/// A tensor that is in a file or goes into one.
struct StoredTensor {
  std::string dtype;                ///< as safetensors calls it: "F32", "BF16", "U8", ...
  std::vector<std::int64_t> shape;  ///< its sizes multiply without overflow
  /// The elements, row-major and little-endian. Throws UserError where the file is damaged.
  std::function<std::vector<std::byte>()> read;

  std::int64_t numel() const;
  /// Bytes of all elements.
  std::int64_t bytes() const;
};

/// What an open file of weights holds; it stays open as long as a tensor of it is there.
struct StoredWeights {
  std::string format;  ///< "safetensors", "PyTorch", ...
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, std::string> metadata;
  std::vector<std::string> left_out;  ///< names of what is neither tensor nor metadata
};

/// The same in memory: what to_tensor() gives.
struct Weights {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Bits of one element of a type by safetensors' name; 0 when there is no such type.
std::int64_t bits_of(std::string_view dtype);

/// The tensor on the CPU: F16 and BF16 as f32, BOOL and integers of at most 32 bits as i64; undefined for what a Tensor
/// cannot hold. Throws UserError as read().
Tensor to_tensor(const StoredTensor& stored);

/// All that a file holds and a Tensor can. Throws UserError as read().
Weights read_all(const StoredWeights& stored);

/// A tensor of any strides and device as it goes into a file, in its own type; copied when it is read.
StoredTensor stored(const Tensor& tensor);

}  // namespace damc
