/// The code of stb_image, for the kinds that stb_decoder.cpp reads, and of stb_image_write. It stands apart because
/// it is compiled with options of its own, see CMakeLists.txt.
#include <zlib.h>

#include <cstdlib>

// Memory starts as zeros: what a damaged file leaves out is black, not what was there before.
#define STBI_MALLOC(size) std::calloc(1, size)
#define STBI_REALLOC(memory, size) std::realloc(memory, size)
#define STBI_FREE(memory) std::free(memory)
#define STBI_MAX_DIMENSIONS (1 << 26)  // codec.h limits their product to that
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_ONLY_BMP
#define STBI_ONLY_GIF
#define STBI_ONLY_PNM
#define STBI_ONLY_TGA
#define STBI_ONLY_PSD  // never asked for: PNM of versions 2.28 to 2.30 compiles beside it or PNG only
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
