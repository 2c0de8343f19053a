/// The metric pca-fd.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "damc/metrics/frechet.h"
#include "damc/metrics/generated.h"
#include "damc/metrics/pixel_components.h"
#include "damc/model.h"
#include "data/images.h"
#include "tensor/communicator.h"
#include "tools/finding.h"

namespace damc {

class PixelDistances {
 public:
  /// Keeps references. z of samples comes from options.from.
  PixelDistances(const Model& model, const Split& split, const DistanceOptions& options, bool shows_progress,
                 const Communicator& among)
      : model_(model), split_(split), options_(options), shows_progress_(shows_progress), among_(among) {}

  /// Frechet distances along the principal components of the training images' pixels (metrics/pixel_components.h), of
  /// samples, of reconstructions of test images, and of these themselves: what samples have more than reconstructions is
  /// the prior's, what those have more than test images the decoder's.
  std::vector<Finding> measure();

  /// Takes reconstructions of test images in their order from a pass that makes them for another metric, so that measure()
  /// need not make them again.
  TakeImages reconstructions();
  /// The model has other weights now.
  void forget() { taken_.reset(); }

 private:
  const PixelComponents& components();
  std::int64_t samples() const { return options_.samples.value_or(kFewSamples); }
  std::int64_t unseen() const { return std::min(split_.test.n, samples()); }

  const Model& model_;
  const Split& split_;
  DistanceOptions options_;
  bool shows_progress_;
  const Communicator& among_;
  std::optional<PixelComponents> components_;
  std::optional<StatisticsStream> taken_;
};

}  // namespace damc
