#include "tools/pixel_distances.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "damc/batched.h"
#include "damc/metrics/frechet.h"
#include "damc/metrics/generated.h"

namespace damc {
namespace {

/// The real images that are compared with.
Images reference_images(const Split& split) {
  Images images = split.train;
  split_off(images, std::min(images.n, kMostReferenceImages));
  return images;
}

/// Calls take for the components of the images themselves.
void for_images(const Images& images, std::int64_t count, const PixelComponents& project,
                const TakeImages& take) {
  constexpr std::int64_t batch = 1024;
  for (std::int64_t first = 0; first < count; first += batch) {
    take(project(to_tensor(images, first, std::min(batch, count - first), Device{})));
  }
}

}  // namespace

const PixelComponents& PixelDistances::components() {
  if (!components_) {
    const Images real = reference_images(split_);
    ShownProgress progress(real.n, shows_progress_);
    components_.emplace(real, 50, [&](std::int64_t done) { progress.update(done); });
  }
  return *components_;
}

TakeImages PixelDistances::reconstructions() {
  const PixelComponents& project = components();
  taken_.emplace(false);
  return [this, &project, left = unseen()](const Tensor& images) mutable {
    const std::int64_t n = std::min(left, images.size(0));
    if (n > 0) taken_->add(project(images.narrow(0, 0, n)));
    left -= n;
  };
}

std::vector<Finding> PixelDistances::measure() {
  const PixelComponents& project = components();
  const std::int64_t real = std::min(split_.train.n, kMostReferenceImages);
  const std::int64_t made = samples(), unseen = this->unseen();
  struct Set {
    const char* of;
    std::int64_t count;
    std::string remark;
    std::function<void(const TakeImages&)> each;
  };
  const Making making{among_, [&](const Tensor& images) { return project(images); }};
  const std::vector<Set> sets = {
      {"samples", made, fmt::format("from {}; pixels, not Inception", options_.from),
       [&](const TakeImages& take) { for_samples(model_, options_.from, made, take, making); }},
      {"reconstructions", unseen, "of test images: without the prior's part",
       [&](const TakeImages& take) { for_reconstructions(model_, split_.test, unseen, take, making); }},
      {"test images", unseen, "themselves: without the decoder's part",
       [&](const TakeImages& take) { for_images(split_.test, unseen, project, take); }}};
  std::vector<Finding> found;
  for (const Set& set : sets) {
    const bool reconstructs = set.of == std::string("reconstructions");
    if (reconstructs && !model_.infers()) continue;
    StatisticsStream stream(false);
    if (reconstructs && taken_) {
      stream = *std::exchange(taken_, {});
    } else {
      ShownProgress progress(set.count, shows_progress_);
      std::int64_t done = 0;
      set.each([&](const Tensor& components) {
        stream.add(components);
        progress.update(done += components.size(0));
      });
    }
    found.push_back({"pca-fd",
                     frechet_distance(project.reference(), stream.finish()).value,
                     set.count,
                     fmt::format("{} {}/{}", set.of, set.count, real),
                     set.remark,
                     {{"of", set.of},
                      {"from", options_.from},
                      {"reference", "training images"},
                      {"reference_images", real},
                      {"components", project.count()},
                      {"explained", project.explained()}}});
    if (reconstructs) found.back().details.update(start_details(model_.config));
  }
  return found;
}

}  // namespace damc
