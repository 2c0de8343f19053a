/// PNG files through libspng.
#include <spng.h>

#include "data/decoders.h"

namespace damc {

namespace {

constexpr std::size_t kMaxChunkBytes = std::size_t{64} << 20;  // of texts and colour profiles, unpacked

class PngDecoder final : public Decoder {
 public:
  PngDecoder(std::span<const std::byte> file, const std::string& name)
      : Decoder(name), png_(spng_ctx_new(0), spng_ctx_free) {
    check(png_ ? 0 : SPNG_EMEM);
    check(spng_set_chunk_limits(png_.get(), kMaxChunkBytes, kMaxChunkBytes));
    check(spng_set_png_buffer(png_.get(), file.data(), file.size()));
    spng_ihdr ihdr{};
    check(spng_get_ihdr(png_.get(), &ihdr));
    const bool gray =
        ihdr.color_type == SPNG_COLOR_TYPE_GRAYSCALE || ihdr.color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA;
    header_ = {ihdr.height, ihdr.width, gray ? 1 : 3};
  }

  std::vector<std::uint8_t> pixels() override {
    std::size_t size = 0;
    check(spng_decoded_image_size(png_.get(), SPNG_FMT_RGB8, &size));
    std::vector<std::uint8_t> out(size);
    check(spng_decode_image(png_.get(), out.data(), out.size(), SPNG_FMT_RGB8, 0));
    // The library is content with all rows. The file may end here, but a checksum that is there has to hold.
    if (spng_decode_chunks(png_.get()) == SPNG_ECHUNK_CRC) check(SPNG_ECHUNK_CRC);
    if (header_.channels == 1) {
      for (std::size_t i = 0; 3 * i < size; ++i) out[i] = out[3 * i];
      out.resize(size / 3);
    }
    return out;
  }

 private:
  void check(int code) const {
    if (code == SPNG_EOF || code == SPNG_IO_EOF || code == SPNG_EIDAT_TOO_SHORT) fail("it ends too early");
    if (code == SPNG_EOVERFLOW) fail("it claims more pixels than there are");
    if (code != 0) fail(spng_strerror(code));
  }

  std::unique_ptr<spng_ctx, decltype(&spng_ctx_free)> png_;
};

}  // namespace

std::unique_ptr<Decoder> open_png(std::span<const std::byte> file, const std::string& name) {
  return std::make_unique<PngDecoder>(file, name);
}

}  // namespace damc
