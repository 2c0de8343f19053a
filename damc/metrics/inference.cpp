#include "damc/metrics/inference.h"

#include <numeric>

#include "damc/batched.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/record.h"

namespace damc {
namespace {

void append(const Tensor& x, std::vector<double>& out) {
  const std::vector<double> values = x.to_vector<double>();
  out.insert(out.end(), values.begin(), values.end());
}

Tensor critic_score(const Model& model, const Tensor& x) {
  if (model.image_energy) return model.image_energy->forward(x).value().reshape({-1});
  const Tensor z = encoded_mean(*model.V, x, model.config.nz), made = model.decode(z);
  const Tensor error = sum(abs(sub(x, made)).reshape({x.size(0), -1}), 1);
  const Tensor logit =
      model.critic->forward(model.config.scored == "image" ? x : made, z).value().reshape({-1});
  return add(mul(error, 0.9), mul(softplus(mul(logit, -1.0)), 0.1));
}

}  // namespace

Tensor row_squares(const Tensor& x) { return sum(square(x.reshape({x.size(0), -1})), 1); }

Inference infer_all(const Model& model, const Images& images,
                    const std::function<void(std::int64_t)>& progress, const TakeImages& take,
                    const Communicator& among) {
  const Architecture& kind = model.images;
  ENSURE(images.height == kind.size && images.width == kind.size && images.channels == kind.channels,
         "the images are {}x{}x{}, the model makes {}x{}x{} (height, width, channels)", images.height,
         images.width, images.channels, kind.size, kind.size, kind.channels);
  Generator random = make_generator(model.config, Stream::evaluation, model.device);
  Inference found{{}, {}, images.image_size()};
  CapturedStep<1, 4> infer("inference", {"x"}, model.device, [&](const auto& in) -> std::array<Tensor, 4> {
    const auto& [x] = in;
    const Tensor z = model.infer(x, random), made = model.decode(z);
    return {made, row_squares(sub(made, x)), row_squares(z), model.prior->energies(z).value()};
  });
  for_batches(infer, images, kind, model.device, &random, among,
              [&](std::int64_t first, const std::array<Tensor, 4>& results) {
                const auto& [made, squared_error, squared_norm, energy] = results;
                if (take) take(made);
                append(squared_error, found.squared_error);
                append(squared_norm, found.prior);
                const std::vector<double> energies = energy.to_vector<double>();
                for (std::size_t i = 0; i < energies.size(); ++i) {
                  double& prior = found.prior[static_cast<std::size_t>(first) + i];
                  prior = energies[i] + 0.5 * prior;
                }
                if (progress) progress(first + made.size(0));
              });
  return found;
}

std::vector<double> critic_scores(const Model& model, const Images& images,
                                  const std::function<void(std::int64_t)>& progress,
                                  const Communicator& among) {
  ENSURE(model.critic, "method {} has no critic", model.config.method);
  std::vector<double> scores;
  CapturedStep<1, 1> score("scores", {"x"}, model.device, [&](const auto& in) -> std::array<Tensor, 1> {
    return {critic_score(model, in[0])};
  });
  for_batches(score, images, model.images, model.device, nullptr, among,
              [&](std::int64_t first, const std::array<Tensor, 1>& found) {
                append(found[0], scores);
                if (progress) progress(first + found[0].size(0));
              });
  return scores;
}

double mse(const Inference& inference) {
  ENSURE(!inference.squared_error.empty(), "mse: no images");
  const double total = std::accumulate(inference.squared_error.begin(), inference.squared_error.end(), 0.0);
  return total / static_cast<double>(inference.squared_error.size()) /
         static_cast<double>(inference.image_size);
}

std::vector<double> anomaly_scores(const Inference& inference) {
  std::vector<double> scores = inference.squared_error;
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] += inference.prior[i];
  return scores;
}

}  // namespace damc
