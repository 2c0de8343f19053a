/// The picture grids of a training run.
#pragma once

#include <filesystem>

#include "damc/model.h"
#include "data/images.h"
#include "tensor/record.h"

namespace damc {

/// Pictures of fixed x and fixed noise, so that those of a run can be compared.
class Pictures {
 public:
  /// Keeps a reference to the model.
  Pictures(const Model& model, const Images& test);

  /// Reconstructions, those where the chains start (of the sampler alone), samples of each of model.sources().
  Tensors draw();
  /// Draws after `iterations` and writes reconstructions-N.png and samples-SOURCE-N.png.
  void write(const std::filesystem::path& folder, std::int64_t iterations);
  /// Writes reals-000000.png: images as the networks get them.
  static void write_reals(const std::filesystem::path& folder, const Tensor& minibatch);

 private:
  Tensor x_;
  std::vector<std::string> sources_;
  Generator noise_;
  Captured draw_;
};

}  // namespace damc
