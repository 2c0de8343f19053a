#include "data/codec.h"

#include <png.h>

#include <cstdio>  // jpeglib.h needs it

#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <csetjmp>

#include "tensor/error.h"

namespace damc {

namespace {

[[noreturn]] void bad_image(const std::string& name, const std::string& reason) {
  user_error(fmt::format("cannot decode '{}': {}", name, reason),
             "only PNG and JPEG images are read; remove or replace this file");
}

class PngDecoder final : public ImageDecoder {
 public:
  PngDecoder(std::span<const std::byte> file, const std::string& name) : name_(name) {
    image_.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_memory(&image_, file.data(), file.size()))
      bad_image(name_, image_.message);
    height = image_.height;
    width = image_.width;
    channels = image_.format & PNG_FORMAT_FLAG_COLOR ? 3 : 1;
  }
  ~PngDecoder() override { png_image_free(&image_); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  void decode(std::span<uint8_t> pixels) override {
    // libpng would blend a dropped alpha channel with a background, so it is read and dropped here.
    const bool alpha = image_.format & PNG_FORMAT_FLAG_ALPHA;
    image_.format = (channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY) | (alpha ? PNG_FORMAT_FLAG_ALPHA : 0u);
    image_.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
    if (!alpha) return read(pixels.data());
    const auto size = static_cast<size_t>(channels);
    std::vector<uint8_t> samples(pixels.size() / size * (size + 1));
    read(samples.data());
    for (size_t i = 0; i * size < pixels.size(); ++i)
      std::copy_n(samples.data() + i * (size + 1), size, pixels.data() + i * size);
  }

 private:
  void read(uint8_t* samples) {
    if (!png_image_finish_read(&image_, nullptr, samples, 0, nullptr)) bad_image(name_, image_.message);
  }

  std::string name_;
  png_image image_{};
};

/// libjpeg reports errors by a function that must not return: it jumps back to the latest setjmp. Between the
/// two there may be no C++ object with a destructor.
class JpegDecoder final : public ImageDecoder {
 public:
  JpegDecoder(std::span<const std::byte> file, const std::string& name) : name_(name) {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = [](j_common_ptr info) { fail(info); };
    errors_.base.emit_message = [](j_common_ptr info, int level) {
      // Both fill the rest of the image with gray and would go on.
      const int code = info->err->msg_code;
      if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER)) fail(info);
    };
    if (setjmp(errors_.jump)) give_up();
    jpeg_create_decompress(&info_);
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(file.data()), file.size());
    jpeg_read_header(&info_, TRUE);
    height = info_.image_height;
    width = info_.image_width;
    channels = info_.num_components == 1 ? 1 : 3;
  }
  ~JpegDecoder() override { jpeg_destroy_decompress(&info_); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  void decode(std::span<uint8_t> pixels) override {
    if (setjmp(errors_.jump)) bad_image(name_, errors_.message);
    info_.out_color_space = channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_start_decompress(&info_);
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = pixels.data() + info_.output_scanline * width * channels;
      jpeg_read_scanlines(&info_, &row, 1);
    }
    jpeg_finish_decompress(&info_);
  }

 private:
  struct Errors {
    jpeg_error_mgr base;  // first, so that libjpeg's pointer to it is also one to Errors
    std::jmp_buf jump;
    char message[JMSG_LENGTH_MAX];
  };

  [[noreturn]] static void fail(j_common_ptr info) {
    auto* errors = reinterpret_cast<Errors*>(info->err);
    info->err->format_message(info, errors->message);
    std::longjmp(errors->jump, 1);
  }

  /// Ends a failed constructor, after which no destructor runs.
  [[noreturn]] void give_up() {
    jpeg_destroy_decompress(&info_);
    bad_image(name_, errors_.message);
  }

  std::string name_;
  Errors errors_{};
  jpeg_decompress_struct info_{};
};

}  // namespace

std::unique_ptr<ImageDecoder> open_image(std::span<const std::byte> file, const std::string& name) {
  const auto starts_with = [&](std::initializer_list<int> magic) {
    return file.size() >= magic.size() &&
           std::equal(magic.begin(), magic.end(), file.begin(),
                      [](int a, std::byte b) { return a == std::to_integer<int>(b); });
  };
  if (starts_with({0x89, 'P', 'N', 'G'})) return std::make_unique<PngDecoder>(file, name);
  if (starts_with({0xff, 0xd8})) return std::make_unique<JpegDecoder>(file, name);
  bad_image(name, "neither PNG nor JPEG");
}

std::vector<std::byte> encode_png(std::span<const uint8_t> pixels, int64_t height, int64_t width,
                                  int64_t channels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<std::byte> file(size);
  ENSURE(png_image_write_to_memory(&image, file.data(), &size, 0, pixels.data(), 0, nullptr),
         "cannot encode an image of {}x{}x{}: {}", height, width, channels, image.message);
  file.resize(size);
  return file;
}

}  // namespace damc
