/// Animated PNG: frames of one size, one after the other, in a file that other readers of PNG show the first of.
/// https://www.w3.org/TR/png-3/, sections 11.3.6 and 4.9
#pragma once

#include <cstdint>
#include <filesystem>

#include "data/images.h"
#include "tensor/io/file.h"

namespace damc {

class ApngWriter {
 public:
  /// Of `frames` frames, at least 1, that repeat for ever. Throws Error as AtomicFile does.
  ApngWriter(const std::filesystem::path& path, std::int64_t frames);

  /// Adds one image, shown for so many milliseconds (at most 65535). Throws Error when it has another shape than the
  /// first, or the file cannot be written.
  void add(const Images& image, std::int64_t milliseconds);
  /// Ends the file; the last call on this object. Throws Error unless all frames were added.
  void commit();

 private:
  void write_chunk(const char* type, std::span<const std::byte> data);

  AtomicFile file_;
  std::int64_t frames_, added_ = 0;
  std::uint32_t sequence_ = 0;
  std::vector<std::byte> header_;  // IHDR of the first frame
};

}  // namespace damc
