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

  /// Reconstructions, those of the sampler alone, samples of the sampler, of the energy prior.
  Tensors draw();
  /// Draws after `iterations` and writes reconstructions-N.png, samples-damc-N.png and samples-lebm-N.png.
  void write(const std::filesystem::path& folder, std::int64_t iterations);
  /// Writes reals-000000.png: images as the networks get them.
  static void write_reals(const std::filesystem::path& folder, const Tensor& minibatch);

 private:
  Tensor x_;
  Generator noise_;
  Captured draw_;
};

}  // namespace damc
