#include "data/codec.h"

#include <zlib.h>

#include <climits>
#include <cstdlib>
#include <memory>

#include "data/image_check.h"
#include "tensor/error.h"

// Memory starts as zeros: what a damaged JPEG file leaves out is black, not what was there before.
#define STBI_MALLOC(size) std::calloc(1, size)
#define STBI_REALLOC(memory, size) std::realloc(memory, size)
#define STBI_FREE(memory) std::free(memory)
#define STBI_MAX_DIMENSIONS (1 << 26)  // image_check.h limits their product to that
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_ZLIB  // see below
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>

/// Unpacks the pixels of a PNG file for stb_image, which would call its own inflate under this name; that one
/// ignores the checksum and lets a small file grow to gigabytes. `initial_size`: bytes without interlacing.
char* stbi_zlib_decode_malloc_guesssize_headerflag(const char* buffer, int len, int initial_size, int* outlen,
                                                   int /*parse_header*/) {
  // Interlacing can nearly double the bytes, and more than that in an image of a few pixels.
  uLongf size = 2 * static_cast<uLongf>(initial_size) + 64;
  auto* out = static_cast<Bytef*>(std::malloc(size));
  if (out &&
      uncompress(out, &size, reinterpret_cast<const Bytef*>(buffer), static_cast<uLong>(len)) == Z_OK) {
    *outlen = static_cast<int>(size);
    return reinterpret_cast<char*>(out);
  }
  std::free(out);
  stbi__err("the compressed pixels are damaged", "");
  return nullptr;
}

namespace damc {

Images decode_image(std::span<const std::byte> file, const std::string& name) {
  const ImageHeader header = check_image(file, name);
  ENSURE(file.size() <= INT_MAX, "decode_image '{}': {} bytes", name, file.size());
  int width = 0, height = 0, channels_in_file = 0;
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(file.data()), static_cast<int>(file.size()),
                            &width, &height, &channels_in_file, static_cast<int>(header.channels)),
      stbi_image_free);
  if (!pixels) undecodable(name, stbi_failure_reason());
  Images image{1, height, width, header.channels, {}, {}};
  image.pixels.assign(pixels.get(), pixels.get() + image.image_size());
  return image;
}

std::vector<std::byte> encode_png(std::span<const uint8_t> pixels, int64_t height, int64_t width,
                                  int64_t channels) {
  std::vector<std::byte> file;
  const auto keep = [](void* out, void* data, int size) {  // called once
    const auto* bytes = static_cast<const std::byte*>(data);
    static_cast<std::vector<std::byte>*>(out)->assign(bytes, bytes + size);
  };
  ENSURE(stbi_write_png_to_func(keep, &file, static_cast<int>(width), static_cast<int>(height),
                                static_cast<int>(channels), pixels.data(), 0),
         "cannot encode an image of {}x{}x{}", height, width, channels);
  return file;
}

}  // namespace damc
