#include "data/packed.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "data/idx.h"
#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr const char* kFileName = "images-idx4-ubyte";
constexpr const char* kOriginName = "pack.json";
constexpr std::int64_t kMaxOriginBytes = std::int64_t{1} << 20;
constexpr std::int64_t kPortionBytes = std::int64_t{64} << 20;

fs::path find_packed(const fs::path& dir) {
  for (const char* suffix : {"", ".gz"}) {
    if (fs::path path = dir / (std::string(kFileName) + suffix); fs::exists(path)) return path;
  }
  return {};
}

/// What pack.json says of `n` images.
PackOrigin read_origin(const fs::path& path, std::int64_t n) {
  const std::vector<std::byte> text = read_file(path, kMaxOriginBytes);
  const char* const begin = reinterpret_cast<const char*>(text.data());
  const auto json = nlohmann::json::parse(begin, begin + text.size(), nullptr, false);
  const auto number = [&](const char* key) -> std::int64_t {
    const auto found = json.is_object() ? json.find(key) : json.end();
    return found != json.end() && found->is_number_unsigned() ? found->get<std::int64_t>() : -1;
  };
  const std::int64_t images = number("images"), training = number("training");
  if (images != n || training < 0 || training > n || !json.contains("data") || !json["data"].is_string()) {
    user_error(fmt::format("'{}' does not describe the {} images beside it", path.string(), n),
               "pack the original images again, or remove that file");
  }
  return {json["data"].get<std::string>(), training};
}

void write_origin(AtomicFile& file, std::int64_t n, const Fitting& fitting, const PackOrigin& origin) {
  const nlohmann::ordered_json json{{"data", origin.data},
                                    {"images", n},
                                    {"training", origin.n_train},
                                    {"size", fitting.size},
                                    {"channels", fitting.channels},
                                    {"crop", name_of(fitting.crop)},
                                    {"filter", name_of(fitting.filter)}};
  const std::string text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  file.write(std::as_bytes(std::span(text)));
}

}  // namespace

bool is_packed(const fs::path& dir) { return !find_packed(dir).empty(); }

Pack read_packed(const fs::path& dir) {
  const fs::path path = find_packed(dir), origin = dir / kOriginName;
  MappedIdx file = map_idx(path.empty() ? dir / kFileName : path, 4);
  const auto& sizes = file.sizes;
  if (sizes[3] != 1 && sizes[3] != 3) {
    user_error(fmt::format("'{}' holds images of {} channels; there are 1 or 3", path.string(), sizes[3]));
  }
  // Not within the result: where this throws, GCC 12 destroys an aggregate in an aggregate twice.
  PackOrigin found = fs::exists(origin) ? read_origin(origin, sizes[0]) : PackOrigin{};
  return {{sizes[0], sizes[1], sizes[2], sizes[3], std::move(file.bytes), {}}, std::move(found)};
}

void pack_images(const fs::path& dir, const ImageSource& source, ImageRange train, ImageRange test,
                 const Fitting& fitting, const PackOrigin& origin) {
  const OutputFolder folder(dir);
  const std::int64_t n = train.count + test.count;
  IdxWriter images(dir / kFileName, {n, fitting.size, fitting.size, fitting.channels});
  AtomicFile description(dir / kOriginName);
  write_origin(description, n, fitting, origin);
  const std::int64_t portion =
      std::max(kPortionBytes / (fitting.size * fitting.size * fitting.channels), std::int64_t{1});
  for (const auto& [first, count] : {train, test}) {
    for (std::int64_t done = 0; done < count; done += portion) {
      images.write(read_images(source, first + done, std::min(portion, count - done), fitting).pixels);
    }
  }
  description.commit();
  images.commit();
}

}  // namespace damc
