/// One reader of image files per library, for codec.cpp. All of them take files from anywhere.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "data/images.h"

namespace damc {

/// An image file being read. Every member throws UserError, with the file's name, for what cannot be read.
class Decoder {
 public:
  explicit Decoder(std::string name) : name_(std::move(name)) {}
  virtual ~Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// Known from construction on; not checked.
  const ImageHeader& header() const { return header_; }
  /// The pixels, H,W,C. To be called once.
  virtual std::vector<std::uint8_t> pixels() = 0;

  /// Throws UserError: the file cannot be decoded, for `reason`.
  [[noreturn]] void fail(const std::string& reason) const;

 protected:
  ImageHeader header_;

 private:
  std::string name_;
};

std::unique_ptr<Decoder> open_png(std::span<const std::byte> file, const std::string& name);
std::unique_ptr<Decoder> open_jpeg(std::span<const std::byte> file, const std::string& name);
std::unique_ptr<Decoder> open_webp(std::span<const std::byte> file, const std::string& name);
std::unique_ptr<Decoder> open_with_stb(std::span<const std::byte> file, const std::string& name);

}  // namespace damc
