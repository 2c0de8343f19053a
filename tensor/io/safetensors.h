/// The safetensors format: named tensors and a few strings in one file, as PyTorch's users exchange weights.
///
/// A file is a u64 N, N bytes of JSON that give every tensor's type, shape and byte range, and the data:
/// row-major, little-endian, without gaps. A file that breaks a rule of the format is refused as a whole; one that
/// holds more than a Tensor can is not, since nobody may ask for that.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tensor/io/stored_tensor.h"

namespace damc {

/// What a header says of one tensor.
struct SafetensorsEntry {
  std::string dtype;  ///< as written in the file: "F32", "BF16", "U8", ...
  std::vector<std::int64_t> shape;
  std::int64_t numel;
  std::int64_t begin;  ///< first byte, counted from the start of the data
  std::int64_t end;    ///< one past the last byte
};

/// All that a file holds except the data.
struct SafetensorsHeader {
  std::map<std::string, SafetensorsEntry> tensors;
  std::map<std::string, std::string> metadata;
  std::int64_t data_start;  ///< bytes before the data
};

/// Reads and checks the header alone, the size of the data included, in a time proportional to its length. Throws
/// UserError with the file, the tensor and the reason when the file is missing or damaged.
SafetensorsHeader read_safetensors_header(const std::filesystem::path& path);

/// Opens a file, its tensors to be read one by one. Throws UserError as read_safetensors_header.
StoredWeights open_safetensors(const std::filesystem::path& path);

/// Reads all tensors that a Tensor can hold, others are undefined. Throws UserError as read_safetensors_header.
Weights read_safetensors(const std::filesystem::path& path);

/// Writes f32, f64 and i64 tensors of any strides and device, data in the order of the names, through an
/// AtomicFile. Throws UserError for a name or metadata that the format cannot hold, Error when the file
/// cannot be written.
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// The same for tensors of any type, one in memory at a time. Throws UserError also where one cannot be read.
void write_safetensors_stream(const std::filesystem::path& path, const StoredWeights& weights);

}  // namespace damc
