/// JPEG files through libjpeg-turbo, with Pillow's settings.
#include <algorithm>
#include <cstdio>  // jpeglib.h needs it

#include <jpeglib.h>

#include <csetjmp>

#include "data/decoders.h"
#include "tensor/error.h"

namespace damc {

namespace {

constexpr int kMaxScans = 100;  // a small file could ask for any number of passes over a large image

/// The library's state with its handlers. libjpeg leaves its functions by a jump when it fails: `open` and
/// `decode` are where it lands, and hold nothing that would have to be destroyed on the way.
class Library {
 public:
  Library() = default;
  ~Library() { jpeg_destroy_decompress(&info_); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  /// Reads everything before the pixels; false on failure.
  bool open(std::span<const std::byte> file) {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = [](j_common_ptr info) {
      auto* errors = reinterpret_cast<Errors*>(info->err);
      errors->base.format_message(info, errors->message);
      std::longjmp(errors->landing, 1);
    };
    errors_.base.emit_message = [](j_common_ptr, int) {};  // what can be decoded nevertheless, Pillow accepts
    if (setjmp(errors_.landing)) return false;
    jpeg_create_decompress(&info_);
    source_.next_input_byte = reinterpret_cast<const JOCTET*>(file.data());
    source_.bytes_in_buffer = file.size();
    source_.init_source = source_.term_source = [](j_decompress_ptr) {};
    source_.fill_input_buffer = [](j_decompress_ptr) -> boolean {
      return FALSE;
    };  // makes the library return
    source_.skip_input_data = [](j_decompress_ptr info, long n) {
      jpeg_source_mgr& source = *info->src;
      const std::size_t skipped = n < 0 ? 0 : std::min(static_cast<std::size_t>(n), source.bytes_in_buffer);
      source.next_input_byte += skipped;
      source.bytes_in_buffer -= skipped;
    };
    source_.resync_to_restart = jpeg_resync_to_restart;
    info_.src = &source_;
    progress_.progress_monitor = [](j_common_ptr info) {
      if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
      auto* errors = reinterpret_cast<Errors*>(info->err);
      std::snprintf(errors->message, sizeof errors->message, "it has more than %d scans", kMaxScans);
      std::longjmp(errors->landing, 1);
    };
    info_.progress = &progress_;
    return jpeg_read_header(&info_, TRUE) == JPEG_HEADER_OK;
  }

  /// All rows in `colours`, one after the other; false on failure.
  bool decode(J_COLOR_SPACE colours, std::uint8_t* out) {
    if (setjmp(errors_.landing)) return false;
    info_.out_color_space = colours;
    if (!jpeg_start_decompress(&info_)) return false;
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = out + std::size_t{info_.output_scanline} * info_.output_width *
                               static_cast<unsigned>(info_.output_components);
      if (jpeg_read_scanlines(&info_, &row, 1) != 1) return false;
    }
    return true;
  }

  const jpeg_decompress_struct& info() const { return info_; }
  /// Why the last call failed.
  const char* reason() const { return errors_.message[0] ? errors_.message : "it ends too early"; }

 private:
  struct Errors {
    jpeg_error_mgr base;  // first: the library knows the address of this one
    std::jmp_buf landing;
    char message[JMSG_LENGTH_MAX];
  };
  jpeg_decompress_struct info_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
  Errors errors_{};
};

/// The product of two numbers in 0..255 as shares of 255, rounded as Pillow does it.
int share(int a, int b) {
  const int product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/// Inverted CMYK, which is what JPEG files hold, to RGB in the same memory.
void to_rgb(std::vector<std::uint8_t>& pixels) {
  const std::size_t n = pixels.size() / 4;
  for (std::size_t i = 0; i < n; ++i) {
    const int light = pixels[4 * i + 3];
    for (std::size_t c = 0; c < 3; ++c) {
      pixels[3 * i + c] = static_cast<std::uint8_t>(light - share(255 - pixels[4 * i + c], light));
    }
  }
  pixels.resize(3 * n);
}

class JpegDecoder final : public Decoder {
 public:
  JpegDecoder(std::span<const std::byte> file, const std::string& name) : Decoder(name) {
    if (!library_.open(file)) fail(library_.reason());
    const int components = library_.info().num_components;
    if (components != 1 && components != 3 && components != 4) {
      fail(fmt::format("it has {} colour components", components));
    }
    header_ = {library_.info().image_height, library_.info().image_width, components == 1 ? 1 : 3};
  }

  std::vector<std::uint8_t> pixels() override {
    const int components = library_.info().num_components;
    const J_COLOR_SPACE colours = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
    std::vector<std::uint8_t> out(static_cast<std::size_t>(header_.height * header_.width * components));
    if (!library_.decode(colours, out.data())) fail(library_.reason());
    if (components == 4) to_rgb(out);
    return out;
  }

 private:
  Library library_;
};

}  // namespace

std::unique_ptr<Decoder> open_jpeg(std::span<const std::byte> file, const std::string& name) {
  return std::make_unique<JpegDecoder>(file, name);
}

}  // namespace damc
