/// What an evaluation finds, and how it shows that it is at work.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "damc/config.h"
#include "tools/status_line.h"
#include "tools/stop_signal.h"

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

/// What generated images are made from and compared with.
struct DistanceOptions {
  std::string from;                     ///< source of z (Model::sources); "": the method's own
  std::optional<std::int64_t> samples;  ///< generated images; none: as many as a metric needs
  std::string inception;                ///< file with the weights of Inception-v3; "": there is none
  std::string classifier;               ///< run folder of a classifier; "": there is none
  std::string reference;       ///< file of statistics, or folder of real images; "": the training images
  std::string reference_mode;  ///< of a file that does not say it
};

/// What belongs to a number that is of reconstructions: where their chains began, if not where the method has them.
inline nlohmann::ordered_json start_details(const Config& config) {
  nlohmann::ordered_json details = nlohmann::ordered_json::object();
  if (config.test_start == "noise")
    details.update({{"start", "noise"}, {"steps", config.test_posterior_steps}});
  return details;
}

/// Real images that others are compared with: the paper's are the first of the training images.
inline constexpr std::int64_t kMostReferenceImages = 50'000;

/// Samples for distances in few dimensions, which have no published number of them.
inline constexpr std::int64_t kFewSamples = 10'000;

/// A status line over images, where one is wanted.
/// Throws Stopped when a signal has asked a training run to stop: evaluations take hours, and can be made again.
class ShownProgress {
 public:
  ShownProgress(std::int64_t total, bool shown) {
    if (shown) status_.emplace(0, total, "image");
  }
  void update(std::int64_t done) {
    if (stop_signal()) throw Stopped{};
    if (status_) status_->update(done, "", false);
  }

 private:
  std::optional<StatusLine> status_;
};

}  // namespace damc
