/// What inference finds for images that a model has not seen: reconstruction error and anomaly scores.
///
/// Images x are N,H,W,C in [-1, 1]; z is the posterior sample of x as evaluated (Model::infer), drawn from
/// the stream Stream::evaluation of the model's seed, so that every evaluation of the same weights gives the
/// same numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "damc/metrics/generated.h"
#include "damc/model.h"
#include "data/images.h"

namespace damc {

/// Sum of squares of every entry of the first dimension of x [N, ...]: [N].
Tensor row_squares(const Tensor& x);

/// What inference finds for every image, in their order.
struct Inference {
  std::vector<double> squared_error;  ///< |x - G(z)|^2, summed over pixels and channels
  std::vector<double> prior;          ///< E(z) + |z|^2/2
  std::int64_t image_size;            ///< H*W*C
};

/// Infers z for all images, gives their G(z) to `take`, and tells `progress` after each batch how many are done. Throws
/// Error unless they have the shape that the model makes.
/// Processes share them.
Inference infer_all(const Model& model, const Images& images,
                    const std::function<void(std::int64_t)>& progress = {}, const TakeImages& take = {},
                    const Communicator& among = alone());

/// Mean squared error per pixel value. Throws Error when there are no images.
double mse(const Inference& inference);
inline double mse(const Model& model, const Images& images) { return mse(infer_all(model, images)); }

/// The score of anomalies of methods with a critic, by images alone: E(x), or with a code z of an encoder
/// 0.9 |x - G(z)|_1 + 0.1 softplus(-D(x', z)), x' = G(z) or x as config.scored says (Zenati et al., 2018). Throws Error for
/// other methods.
std::vector<double> critic_scores(const Model& model, const Images& images,
                                  const std::function<void(std::int64_t)>& progress = {},
                                  const Communicator& among = alone());

/// |x - G(z)|^2 + E(z) + |z|^2/2 of every image: the higher, the less the image is like the training images.
std::vector<double> anomaly_scores(const Inference& inference);

}  // namespace damc
