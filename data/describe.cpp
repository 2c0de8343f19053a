#include "data/describe.h"

#include <fmt/ranges.h>
#include <algorithm>
#include <set>
#include <utility>

#include "data/dataset.h"
#include "data/image_set.h"
#include "data/layout.h"
#include "data/packed.h"
#include "tensor/error.h"
#include "tensor/text.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMaxInMeans = 2000;  // of images that have to be decoded or may be too many to read

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

PartDescription describe_source(const ImageSource& source) {
  std::set<std::pair<std::int64_t, std::int64_t>> sizes;
  for (std::int64_t i = 0; i < source.size(); ++i) {
    const ImageHeader header = source.header(i);
    sizes.emplace(header.height, header.width);
  }
  PartDescription part{"all", source.size(), {}, {}, {}, 0};
  const auto [height, width] = *sizes.begin();
  part.shape = fmt::format("{}x{}", height, width);
  if (sizes.size() > 1) {
    part.shape +=
        fmt::format(" to {}x{} ({} sizes)", sizes.rbegin()->first, sizes.rbegin()->second, sizes.size());
  }
  part.n_in_means = std::min(part.n, kMaxInMeans);
  MeanSums sums;
  for (std::int64_t i = 0; i < part.n_in_means; ++i) sums.add(source.decode(i, 3));
  part.channel_means = sums.means();
  return part;
}

/// "the first 69500 train, 500 test", or "" where nobody has divided them.
std::string division(std::int64_t n_train, std::int64_t n) {
  return n_train > 0 && n_train < n ? fmt::format("the first {} train, {} test", n_train, n - n_train) : "";
}

void describe_images(const fs::path& dir, Description& out) {
  const ImageSet set = find_images(dir);
  out.parts.push_back(describe_source(*set.source));
  out.note = division(set.n_train, set.source->size());
  if (!set.left_out.empty()) out.note += (out.note.empty() ? "" : "; ") + ("left out: " + set.left_out);
}

void describe_pack(const fs::path& dir, Description& out) {
  const auto [images, origin] = read_packed(dir);
  Images first = images;
  split_off(first, std::min(images.n, kMaxInMeans));
  out.parts.push_back(describe_part("all", first));
  out.parts[0].n = images.n;
  out.note = origin.data;
  const std::string divided = division(origin.n_train, images.n);
  if (!divided.empty()) out.note += (out.note.empty() ? "" : "; ") + divided;
}

}  // namespace

Description describe(const fs::path& dir) {
  const Layout layout = find_layout(dir);
  Description out{layout.format, {}, {}};
  if (out.format == "packed") {
    describe_pack(dir, out);
  } else if (out.format == "images" || find_kind(out.format).store != Store::files) {
    describe_images(dir, out);
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
