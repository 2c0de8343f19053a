#include "data/codec.h"

#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

#include <climits>
#include <memory>

#include "data/image_check.h"
#include "tensor/error.h"

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
