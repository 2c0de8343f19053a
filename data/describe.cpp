#include "data/describe.h"

#include <fmt/ranges.h>
#include <algorithm>
#include <set>
#include <utility>

#include "data/dataset.h"
#include "data/image_folder.h"
#include "data/image_io.h"
#include "data/layout.h"
#include "data/packed.h"
#include "tensor/error.h"
#include "tensor/text.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMaxInMeans = 2000;  // of a folder, whose images have to be decoded

/// Sums of pixels per channel over images that may come one by one.
class MeanSums {
 public:
  void add(const Images& images) {
    sums_.resize(static_cast<std::size_t>(images.channels));
    for (std::size_t i = 0; i < images.pixels.size(); ++i) sums_[i % sums_.size()] += images.pixels[i];
    n_pixels_ += images.n * images.height * images.width;
  }
  std::vector<double> means() const {
    std::vector<double> means;
    for (const std::int64_t sum : sums_) {
      means.push_back(static_cast<double>(sum) / 255.0 / static_cast<double>(n_pixels_));
    }
    return means;
  }

 private:
  std::vector<std::int64_t> sums_;
  std::int64_t n_pixels_ = 0;
};

PartDescription describe_part(const std::string& name, const Images& images) {
  PartDescription part{name, images.n, fmt::format("{}x{}x{}", images.height, images.width, images.channels),
                       {},   {},       images.n};
  for (const std::int32_t label : images.labels) {
    part.label_counts.resize(std::max(part.label_counts.size(), static_cast<std::size_t>(label) + 1));
    ++part.label_counts[static_cast<std::size_t>(label)];
  }
  MeanSums sums;
  sums.add(images);
  part.channel_means = sums.means();
  return part;
}

PartDescription describe_files(const std::vector<fs::path>& paths) {
  std::set<std::pair<std::int64_t, std::int64_t>> sizes;
  for (const fs::path& path : paths) {
    const ImageSize size = read_image_size(path);
    sizes.emplace(size.height, size.width);
  }
  PartDescription part{"all", static_cast<std::int64_t>(paths.size()), {}, {}, {}, 0};
  const auto [height, width] = *sizes.begin();
  part.shape = fmt::format("{}x{}", height, width);
  if (sizes.size() > 1) {
    part.shape +=
        fmt::format(" to {}x{} ({} sizes)", sizes.rbegin()->first, sizes.rbegin()->second, sizes.size());
  }
  part.n_in_means = std::min(part.n, kMaxInMeans);
  MeanSums sums;
  for (std::int64_t i = 0; i < part.n_in_means; ++i)
    sums.add(read_image(paths[static_cast<std::size_t>(i)], 3));
  part.channel_means = sums.means();
  return part;
}

}  // namespace

Description describe(const fs::path& dir) {
  Description out{find_layout(dir).format, {}, {}};
  if (out.format == "images") {
    const ImageFiles files = list_images(dir);
    out.parts.push_back(describe_files(files.paths));
    if (!files.left_out.empty()) out.note = "left out: " + files.left_out;
  } else if (out.format == "packed") {
    out.parts.push_back(describe_part("all", read_packed(dir)));
  } else {
    const Split split = read_official(find_kind(out.format), dir);
    out.note = split.note;
    out.parts.push_back(describe_part("training", split.train));
    if (split.test.n > 0) out.parts.push_back(describe_part("test", split.test));
  }
  return out;
}

std::string to_text(const Description& description) {
  std::string text = fmt::format("format    {}\n", description.format);
  for (const PartDescription& part : description.parts) {
    text += fmt::format("{:<9} {} images of {}\n", part.name, part.n, part.shape);
    text += part.label_counts.empty() ? "  labels  unknown\n"
                                      : fmt::format("  labels  {}\n", fmt::join(part.label_counts, " "));
    text += fmt::format("  means   {:.4f}", fmt::join(part.channel_means, " "));
    text += part.n_in_means < part.n ? fmt::format(" (first {} images)\n", part.n_in_means) : "\n";
  }
  if (!description.note.empty()) text += fmt::format("note      {}\n", escaped(description.note));
  return text;
}

}  // namespace damc
