/// NumPy's .npy format: one array in one file, for exchange with scripts.
///
/// A file is "\x93NUMPY", a version, the length of a header, a Python dictionary that gives type, order and
/// shape, and the data.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "tensor/tensor.h"

namespace damc {

/// Reads versions 1, 2 and 3 in either order of indices and of bytes onto the CPU: f2 and f4 as f32, f8 as f64, all
/// integers as i64. Throws UserError with the file and the reason for anything else, trailing bytes included.
Tensor read_npy(const std::filesystem::path& path);

/// The same for a file's content; the messages begin with `where`.
Tensor parse_npy(const std::string& where, std::span<const std::byte> content);

/// Writes a tensor of any strides and device as version 1.0, data aligned to 64 bytes, through an AtomicFile.
/// Throws Error when the file cannot be written.
void write_npy(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace damc
