/// The code of stb_image and stb_image_write, as far as PNG and JPEG in memory need it. It stands apart from
/// codec.cpp because it is compiled with options of its own, see CMakeLists.txt.
#include <zlib.h>

#include <cstdlib>

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

/// zlib for stb_image_write, whose own compressor makes files half as large again. Null without memory.
static unsigned char* compress_with_zlib(unsigned char* data, int size, int* compressed_size, int level) {
  uLongf bytes = compressBound(static_cast<uLong>(size));
  auto* out = static_cast<unsigned char*>(std::malloc(bytes));
  if (!out || compress2(out, &bytes, data, static_cast<uLong>(size), level) != Z_OK) {
    std::free(out);
    return nullptr;
  }
  *compressed_size = static_cast<int>(bytes);
  return out;
}

#define STBIW_ZLIB_COMPRESS compress_with_zlib
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
