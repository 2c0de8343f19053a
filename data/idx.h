/// IDX: the file format of MNIST, for arrays of unsigned bytes of any rank; also the format of packed
/// folders. Layout, big-endian: bytes 0 0 8 rank; `rank` sizes as u32; then the elements in C order. Plain or
/// gzipped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "data/pixels.h"
#include "tensor/io/file.h"

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

/// An array of bytes that may lie in a mapped file.
struct MappedIdx {
  std::vector<std::int64_t> sizes;
  Pixels bytes;
};

/// The same, with the elements left in the file and mapped into memory, unless they are gzipped.
MappedIdx map_idx(const std::filesystem::path& path, int rank);

/// Writes a plain IDX file piece by piece, whole or not at all. Every member throws Error when that fails.
class IdxWriter {
 public:
  /// Throws Error, too, when a size is 0 or does not fit 32 bits.
  IdxWriter(const std::filesystem::path& path, const std::vector<std::int64_t>& sizes);
  void write(std::span<const std::uint8_t> bytes);
  /// Throws Error when less or more has been written than the sizes say.
  void commit();

 private:
  AtomicFile file_;
  std::int64_t missing_ = 0;  // bytes
};

/// Writes a plain IDX file. Throws Error as IdxWriter does.
void write_idx(const std::filesystem::path& path, const std::vector<std::int64_t>& sizes,
               std::span<const std::uint8_t> bytes);

}  // namespace damc
