/// Reference statistics: what generated images are compared with. They take long to compute and never change, so they
/// are kept in files that say what they are of.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "damc/metrics/statistics.h"
#include "data/images.h"

namespace damc {

/// What images are measured in: the features of one network, given images in one way.
struct FeatureSpace {
  std::string mode;     ///< how images become its input and which output is taken: "fid-float", "classifier"
  std::string network;  ///< SHA-256 of its weights (digest.h)
  std::int64_t count;   ///< of the features
  std::function<Tensor(const Tensor& images)> features;  ///< [N, H, W, C] in [-1, 1] to [N, d]
};

using ImagesDone = std::function<void(std::int64_t images)>;

/// Statistics, with their features, of the first `count` images.
Statistics feature_statistics(const FeatureSpace& space, const Images& images, std::int64_t count,
                              const ImagesDone& progress = {});

/// Statistics and what they are of; texts are empty where a file does not say.
struct Reference {
  Statistics statistics;  ///< n 0 where it is not known; features undefined where they are not kept
  std::string mode, network;
  std::string data;  ///< the images, in words
};

/// Writes safetensors: `mu` F64 [d], `sigma` F64 [d, d], `features` where they were kept; the rest as metadata. Throws
/// Error when it cannot be written.
void write_reference(const std::filesystem::path& path, const Reference& reference);

/// Reads such a file, or pytorch-fid's .npz (`mu`, `sigma`), which does not say what it is of. Throws UserError with the
/// file and the reason for anything else.
Reference read_reference(const std::filesystem::path& path);

/// Throws UserError, naming the reference's file, unless it was measured in this space.
void check_space(const Reference& reference, const FeatureSpace& space, const std::filesystem::path& file);

/// The reference of the first `count` images, called `data` in words, from the file of a folder that holds it, or
/// measured and left there for the next time; a file that is damaged or of something else is replaced. An empty folder:
/// nothing is kept.
Reference cached_reference(const FeatureSpace& space, const Images& images, std::int64_t count,
                           const std::string& data, const std::filesystem::path& folder,
                           const ImagesDone& progress = {});

}  // namespace damc
