/// IDX: the file format of MNIST, for arrays of unsigned bytes of any rank; also the format of packed
/// folders. Layout, big-endian: bytes 0 0 8 rank; `rank` sizes as u32; then the elements in C order. Plain or
/// gzipped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace damc {

/// An array of bytes with its sizes, slowest first.
struct Idx {
  std::vector<std::int64_t> sizes;
  std::vector<std::uint8_t> bytes;
};

/// Reads a plain or gzipped IDX file of unsigned bytes with `rank` dimensions.
/// Throws UserError when the file is missing, of another kind, truncated, damaged or longer than its header
/// says; a header that promises more than the file can hold is refused before anything is allocated.
Idx read_idx(const std::filesystem::path& path, int rank);

/// Writes a plain IDX file, whole or not at all. Throws Error when that fails, when the sizes do not match
/// the bytes, or when there are none or one does not fit 32 bits.
void write_idx(const std::filesystem::path& path, const std::vector<std::int64_t>& sizes,
               std::span<const std::uint8_t> bytes);

}  // namespace damc
