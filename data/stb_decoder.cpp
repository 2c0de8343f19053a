/// BMP, binary PPM and PGM, TGA and the first image of GIF, through stb_image.
#include <stb/stb_image.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "data/decoders.h"
#include "data/file_tree.h"
#include "tensor/error.h"

namespace damc {

namespace {

/// The bytes of a file as stb_image asks for them. It reads zeros behind the end, which has to be noticed here.
struct Source {
  std::span<const std::byte> rest;
  bool overran = false;
};

constexpr int kBuffered = 128;  // what stb_image asks for when it only wants some more, so that less is fine

int read_some(void* user, char* out, int size) {
  auto& source = *static_cast<Source*>(user);
  const std::size_t n = std::min(static_cast<std::size_t>(size), source.rest.size());
  source.overran |= n == 0 || (n < static_cast<std::size_t>(size) && size != kBuffered);
  std::memcpy(out, source.rest.data(), n);
  source.rest = source.rest.subspan(n);
  return static_cast<int>(n);
}

void skip_some(void* user, int size) {
  auto& source = *static_cast<Source*>(user);
  source.overran |= static_cast<std::size_t>(size) > source.rest.size();
  source.rest = source.rest.subspan(std::min(static_cast<std::size_t>(size), source.rest.size()));
}

int is_at_end(void* user) { return static_cast<Source*>(user)->rest.empty(); }

constexpr stbi_io_callbacks kCallbacks{read_some, skip_some, is_at_end};

/// The largest value that the header of a PPM or PGM file announces, its third number behind the signature; 0 if
/// there are no such numbers.
int pnm_maximum(std::string_view text) {
  int value = 0;
  text.remove_prefix(2);
  for (int i = 0; i < 3; ++i) {
    const auto is_space = [](char c) { return std::strchr(" \t\n\v\f\r", c) != nullptr && c != '\0'; };
    while (!text.empty() && (is_space(text[0]) || text[0] == '#')) {
      text.remove_prefix(text[0] == '#' ? std::min(text.find_first_of("\r\n"), text.size()) : 1);
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) return 0;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
  return value;
}

/// A GIF file whose first image has no transparent colour, so that all of its pixels are drawn.
struct OpaqueGif {
  explicit OpaqueGif(std::span<const std::byte> original);

  std::vector<std::byte> file;
  std::int64_t left = 0, top = 0, right = 0, bottom = 0;  // of the first image
  /// The colour of the pixels around it, as Pillow has it: of the number that is transparent, or of number 0.
  std::array<std::uint8_t, 3> around{};
};

OpaqueGif::OpaqueGif(std::span<const std::byte> original) : file(original.begin(), original.end()) {
  const auto at = [&](std::size_t i) { return i < file.size() ? std::to_integer<unsigned>(file[i]) : 0U; };
  constexpr std::size_t header = 13;
  constexpr unsigned extension = 0x21, control = 0xF9, is_transparent = 1, has_colours = 0x80;
  const auto colours = [&](std::size_t flags) {
    return (at(flags) & has_colours) != 0 ? std::size_t{2} << (at(flags) & 7) : 0;
  };
  std::size_t block = header + 3 * colours(10), transparent = 0;
  while (at(block) == extension) {
    if (at(block + 1) == control && at(block + 2) > 0 && block + 3 < file.size()) {
      transparent = (at(block + 3) & is_transparent) != 0 ? at(block + 6) : 0;
      file[block + 3] &= ~std::byte{is_transparent};
    }
    block += 2;
    while (at(block) > 0) block += at(block) + 1;
    ++block;
  }
  const auto number = [&](std::size_t i) { return std::int64_t{at(block + i)} + 256 * at(block + i + 1); };
  left = number(1), top = number(3), right = left + number(5), bottom = top + number(7);
  const bool has_own = colours(block + 9) > 0;
  if (transparent >= colours(has_own ? block + 9 : 10)) return;
  for (std::size_t c = 0; c < 3; ++c)
    around[c] = static_cast<std::uint8_t>(at((has_own ? block + 10 : header) + 3 * transparent + c));
}

/// What a file that is not read is, by its first bytes.
std::string_view kind_of(std::string_view text) {
  using namespace std::string_view_literals;
  if (text.empty()) return "an empty file";
  if (text.starts_with("II*\0"sv) || text.starts_with("MM\0*"sv)) return "TIFF";
  if (text.substr(std::min(text.size(), std::size_t{4})).starts_with("ftyp")) return "AVIF or HEIF";
  return "something else";
}

class StbDecoder final : public Decoder {
 public:
  StbDecoder(std::span<const std::byte> file, const std::string& name) : Decoder(name), file_(file) {
    const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
    const bool pnm = text.starts_with("P5") || text.starts_with("P6");
    const bool tga = ending(name) == ".tga";
    if (!pnm && !tga && !text.starts_with("BM") && !text.starts_with("GIF8")) {
      fail(
          fmt::format("neither PNG, JPEG, WebP, BMP, binary PPM or PGM, TGA nor GIF, but {}", kind_of(text)));
    }
    if (pnm && pnm_maximum(text) != 255) {
      fail("only PPM and PGM files with 255 as their largest value are read");
    }
    if (tga && file.size() > 17 && (file[17] & std::byte{0x10}) != std::byte{0})
      fail("its rows run from right to left");
    if (text.starts_with("GIF8")) {
      gif_.emplace(file);
      file_ = gif_->file;
    }
    Source source{file};
    int width = 0, height = 0, channels = 0;
    if (!stbi_info_from_callbacks(&kCallbacks, &source, &width, &height, &channels)) fail(reason());
    // Rows from top to bottom are a negative height in BMP.
    header_ = {std::abs(std::int64_t{height}), width, channels <= 2 ? 1 : 3};
  }

  std::vector<std::uint8_t> pixels() override {
    Source source{file_};
    int width = 0, height = 0, channels = 0;
    const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> decoded(
        stbi_load_from_callbacks(&kCallbacks, &source, &width, &height, &channels,
                                 static_cast<int>(header_.channels)),
        stbi_image_free);
    if (source.overran) fail("it ends too early");
    if (!decoded) fail(reason());
    if (height != header_.height || width != header_.width) fail("its sizes contradict each other");
    std::vector<std::uint8_t> out(decoded.get(),
                                  decoded.get() + header_.height * header_.width * header_.channels);
    if (gif_) draw_around(out);
    return out;
  }

 private:
  static std::string reason() {
    const char* reason = stbi_failure_reason();
    return reason && reason[0] ? reason : "it is damaged";
  }

  /// Where the first image of a GIF file is not, stb_image has the background's blue for red and its red for blue.
  void draw_around(std::span<std::uint8_t> out) const {
    for (std::int64_t i = 0; i < header_.height * header_.width; ++i) {
      const std::int64_t y = i / header_.width, x = i % header_.width;
      if (y < gif_->top || y >= gif_->bottom || x < gif_->left || x >= gif_->right)
        std::ranges::copy(gif_->around, out.begin() + 3 * i);
    }
  }

  std::optional<OpaqueGif> gif_;
  std::span<const std::byte> file_;
};

}  // namespace

std::unique_ptr<Decoder> open_with_stb(std::span<const std::byte> file, const std::string& name) {
  return std::make_unique<StbDecoder>(file, name);
}

}  // namespace damc
