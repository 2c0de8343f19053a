#include "damc/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/batches.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/record.h"

namespace damc {
namespace {

void append(const Tensor& x, std::vector<double>& out) {
  const std::vector<double> values = x.to_vector<double>();
  out.insert(out.end(), values.begin(), values.end());
}

}  // namespace

std::int64_t evaluation_batch(const Architecture& images) {
  return std::clamp<std::int64_t>((std::int64_t{1} << 20) / (images.size * images.size), 1, 128);
}

Tensor to_tensor(const Images& images, std::int64_t first, std::int64_t count, Device device) {
  std::vector<float> values(static_cast<std::size_t>(count * images.image_size()));
  to_float(images, first, count, values);
  return Tensor::from(values, {count, images.height, images.width, images.channels}, device);
}

Tensor row_squares(const Tensor& x) { return sum(square(x.reshape({x.size(0), -1})), 1); }

Inference infer_all(const Model& model, const Images& images,
                    const std::function<void(std::int64_t)>& progress) {
  const Architecture& made = model.images;
  ENSURE(images.height == made.size && images.width == made.size && images.channels == made.channels,
         "the images are {}x{}x{}, the model makes {}x{}x{} (height, width, channels)", images.height,
         images.width, images.channels, made.size, made.size, made.channels);
  Generator random = make_generator(model.config, Stream::evaluation, model.device);
  Inference found{{}, {}, images.image_size()};
  Captured infer("inference", {"x"}, model.device, [&](const Tensors& in) {
    const Tensor& x = in[0];
    const Tensor z = model.infer(x, random);
    return Tensors{row_squares(sub(model.G.forward(z).value(), x)), row_squares(z),
                   model.E.forward(z).value()};
  });
  const std::int64_t batch = evaluation_batch(made);
  for (std::int64_t first = 0; first < images.n; first += batch) {
    const Tensor x = to_tensor(images, first, std::min(batch, images.n - first), model.device);
    const Tensors results = x.size(0) == batch ? infer({x}) : infer.unrecorded({x});
    append(results[0], found.squared_error);
    append(results[1], found.prior);
    const std::vector<double> energies = results[2].to_vector<double>();
    for (std::size_t i = 0; i < energies.size(); ++i) {
      double& prior = found.prior[static_cast<std::size_t>(first) + i];
      prior = energies[i] + 0.5 * prior;
    }
    if (progress) progress(first + x.size(0));
  }
  return found;
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

double auprc(std::span<const double> scores, std::span<const std::uint8_t> is_anomaly) {
  ENSURE(scores.size() == is_anomaly.size(), "auprc: {} scores for {} images", scores.size(),
         is_anomaly.size());
  for (const double score : scores) ENSURE(!std::isnan(score), "auprc: a score is not a number");
  const auto positives = std::count(is_anomaly.begin(), is_anomaly.end(), std::uint8_t{1});
  ENSURE(positives > 0, "auprc: none of {} images is an anomaly", is_anomaly.size());

  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });

  double area = 0.0, recall = 0.0, precision = 1.0;
  std::int64_t found = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    found += is_anomaly[order[k]];
    // Images of equal score pass the threshold together.
    if (k + 1 < order.size() && scores[order[k + 1]] == scores[order[k]]) continue;
    const double next_recall = static_cast<double>(found) / static_cast<double>(positives);
    const double next_precision = static_cast<double>(found) / static_cast<double>(k + 1);
    area += (next_recall - recall) * 0.5 * (precision + next_precision);
    recall = next_recall;
    precision = next_precision;
  }
  return area;
}

double anomaly_share(std::span<const std::uint8_t> is_anomaly) {
  ENSURE(!is_anomaly.empty(), "anomaly share: no images");
  const auto count = std::count(is_anomaly.begin(), is_anomaly.end(), std::uint8_t{1});
  return static_cast<double>(count) / static_cast<double>(is_anomaly.size());
}

}  // namespace damc
