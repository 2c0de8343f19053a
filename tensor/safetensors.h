/// The safetensors format: named tensors and a few strings in one file, as PyTorch's users exchange weights.
///
/// A file is a u64 N, N bytes of JSON that give every tensor's type, shape and byte range, and the data:
/// row-major, little-endian, without gaps. Reading is strict: a file that breaks any rule of the format is
/// refused as a whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "tensor/tensor.h"

namespace damc {

/// What a header says of one tensor.
struct SafetensorsEntry {
  std::string dtype;  ///< as written in the file: "F32", "F64", "I64", "F16" or "BF16"
  Shape shape;
  std::int64_t begin;  ///< first byte, counted from the start of the data
  std::int64_t end;    ///< one past the last byte
};

/// All that a file holds except the data.
struct SafetensorsHeader {
  std::map<std::string, SafetensorsEntry> tensors;
  std::map<std::string, std::string> metadata;
  std::int64_t data_start;  ///< bytes before the data
};

/// A file's content. Tensors are on the CPU and own their memory.
struct SafetensorsFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads and checks the header alone, the size of the data included. Throws UserError with the file, the
/// tensor and the reason when the file is missing, damaged, or has a type or shape that Tensor does not have.
SafetensorsHeader read_safetensors_header(const std::filesystem::path& path);

/// Reads all tensors; F16 and BF16 become f32. Throws UserError as read_safetensors_header.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

/// Writes f32, f64 and i64 tensors of any strides and device, data in the order of the names, through an
/// AtomicFile. Throws UserError for a name or metadata that the format cannot hold, Error when the file
/// cannot be written.
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace damc
