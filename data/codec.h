/// PNG and JPEG in memory, through libpng and libjpeg: small shells around their C interfaces.
/// (Not stb_image: the version that Debian 12 ships writes past a table when a JPEG file has a bad one.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace damc {

/// A PNG or JPEG file whose header has been read and whose pixels have not.
class ImageDecoder {
 public:
  virtual ~ImageDecoder() = default;

  int64_t height = 0, width = 0;
  int64_t channels = 0;  ///< 1 (gray) or 3 (red, green, blue)

  /// Decodes to H,W,C bytes; `pixels` has height * width * channels of them. An alpha channel is dropped, 16
  /// bits become 8. To be called once. Throws UserError when the file is damaged or ends too early.
  virtual void decode(std::span<uint8_t> pixels) = 0;
};

/// Reads the header of the file with the bytes `file`, which must outlive the decoder; `name` is for
/// messages. Throws UserError when it is neither PNG nor JPEG, or its header is damaged.
std::unique_ptr<ImageDecoder> open_image(std::span<const std::byte> file, const std::string& name);

/// H,W,C bytes with 1 or 3 channels as a PNG file. Throws Error when memory runs out.
std::vector<std::byte> encode_png(std::span<const uint8_t> pixels, int64_t height, int64_t width,
                                  int64_t channels);

}  // namespace damc
