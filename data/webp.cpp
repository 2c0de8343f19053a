/// WebP files through libwebp, as Pillow reads them.
#include <webp/decode.h>

#include "data/decoders.h"

namespace damc {

namespace {

const char* reason_of(VP8StatusCode code) {
  switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return "memory runs out";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "it uses something of WebP that is not read";
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "it ends too early";
    default:
      return "it is damaged";
  }
}

class WebpDecoder final : public Decoder {
 public:
  WebpDecoder(std::span<const std::byte> file, const std::string& name)
      : Decoder(name), bytes_(reinterpret_cast<const std::uint8_t*>(file.data())), size_(file.size()) {
    WebPBitstreamFeatures features{};
    check(WebPGetFeatures(bytes_, size_, &features));
    if (features.has_animation) fail("it is animated, and one image is wanted");
    header_ = {features.height, features.width, 3};
  }

  std::vector<std::uint8_t> pixels() override {
    std::vector<std::uint8_t> out(static_cast<std::size_t>(header_.height * header_.width * 3));
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) fail("the library is of another version");
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = {out.data(), static_cast<int>(header_.width * 3), out.size()};
    check(WebPDecode(bytes_, size_, &config));
    return out;
  }

 private:
  void check(VP8StatusCode code) const {
    if (code != VP8_STATUS_OK) fail(reason_of(code));
  }

  const std::uint8_t* bytes_;
  std::size_t size_;
};

}  // namespace

std::unique_ptr<Decoder> open_webp(std::span<const std::byte> file, const std::string& name) {
  return std::make_unique<WebpDecoder>(file, name);
}

}  // namespace damc
