/// WebP files through libwebp, as Pillow reads them.
#include <webp/decode.h>
#include <webp/demux.h>

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
    is_animated_ = features.has_animation != 0;
    header_ = {features.height, features.width, 3};
  }

  std::vector<std::uint8_t> pixels() override {
    std::vector<std::uint8_t> out(static_cast<std::size_t>(header_.height * header_.width * 3));
    if (is_animated_) {
      read_first(out);
      return out;
    }
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) fail("the library is of another version");
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = {out.data(), static_cast<int>(header_.width * 3), out.size()};
    check(WebPDecode(bytes_, size_, &config));
    return out;
  }

 private:
  /// The first picture of an animation.
  void read_first(std::span<std::uint8_t> out) const {
    const WebPData data{bytes_, size_};
    const std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)> decoder(
        WebPAnimDecoderNew(&data, nullptr), WebPAnimDecoderDelete);
    std::uint8_t* picture = nullptr;  // with alpha
    int time = 0;
    if (!decoder || !WebPAnimDecoderGetNext(decoder.get(), &picture, &time))
      fail("it is damaged or ends too early");
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = picture[i / 3 * 4 + i % 3];
  }

  void check(VP8StatusCode code) const {
    if (code != VP8_STATUS_OK) fail(reason_of(code));
  }

  const std::uint8_t* bytes_;
  std::size_t size_;
  bool is_animated_ = false;
};

}  // namespace

std::unique_ptr<Decoder> open_webp(std::span<const std::byte> file, const std::string& name) {
  return std::make_unique<WebpDecoder>(file, name);
}

}  // namespace damc
