/// The metrics of `damc eval` that compare the images a model makes with real ones.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "damc/metrics/pixel_components.h"
#include "damc/model.h"
#include "data/images.h"
#include "tools/status_line.h"

namespace damc {

/// A number as it is shown and recorded.
struct Finding {
  std::string metric;  ///< "mse"
  double value;
  std::int64_t images;  ///< that it is over
  std::string over;     ///< the same in words: "over 10000 test images", "samples 10000/50000"
  std::string remark;
  nlohmann::ordered_json details = nlohmann::ordered_json::object();
};

struct DistanceOptions {
  std::string from;                     ///< source of z (Model::sources); "": the method's own
  std::optional<std::int64_t> samples;  ///< generated images; none: as many as a metric needs
};

/// A status line over images, where one is wanted.
class ShownProgress {
 public:
  ShownProgress(std::int64_t total, bool shown) {
    if (shown) status_.emplace(0, total, "image");
  }
  void update(std::int64_t done) {
    if (status_) status_->update(done, "", false);
  }

 private:
  std::optional<StatusLine> status_;
};

class Distances {
 public:
  /// Keeps references. Throws UserError for a source that the model does not have.
  Distances(const Model& model, const Split& split, const DistanceOptions& options, bool shows_progress);

  /// Frechet distances along the principal components of the training images' pixels (metrics/pixel_components.h), of
  /// samples, of reconstructions of test images, and of these themselves: what samples have more than reconstructions is
  /// the prior's, what those have more than test images the decoder's.
  std::vector<Finding> pca_fd();

 private:
  const Model& model_;
  const Split& split_;
  DistanceOptions options_;
  bool shows_progress_;
  std::optional<PixelComponents> components_;
};

}  // namespace damc
