#include "damc/metrics.h"

#include <algorithm>
#include <cmath>
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

}  // namespace

Tensor row_squares(const Tensor& x) { return sum(square(x.reshape({x.size(0), -1})), 1); }

Inference infer_all(const Model& model, const Images& images,
                    const std::function<void(std::int64_t)>& progress) {
  const Architecture& made = model.images;
  ENSURE(images.height == made.size && images.width == made.size && images.channels == made.channels,
         "the images are {}x{}x{}, the model makes {}x{}x{} (height, width, channels)", images.height,
         images.width, images.channels, made.size, made.size, made.channels);
  Generator random = make_generator(model.config, Stream::evaluation, model.device);
  Inference found{{}, {}, images.image_size()};
  CapturedStep<1, 3> infer("inference", {"x"}, model.device, [&](const auto& in) -> std::array<Tensor, 3> {
    const auto& [x] = in;
    const Tensor z = model.infer(x, random);
    return {row_squares(sub(model.decode(z), x)), row_squares(z), model.prior->energies(z).value()};
  });
  for_batches(infer, images, made, model.device,
              [&](std::int64_t first, const Tensor& x, const auto& results) {
                const auto& [squared_error, squared_norm, energy] = results;
                append(squared_error, found.squared_error);
                append(squared_norm, found.prior);
                const std::vector<double> energies = energy.template to_vector<double>();
                for (std::size_t i = 0; i < energies.size(); ++i) {
                  double& prior = found.prior[static_cast<std::size_t>(first) + i];
                  prior = energies[i] + 0.5 * prior;
                }
                if (progress) progress(first + x.size(0));
              });
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

double least_possible_auprc(std::span<const std::uint8_t> is_anomaly) {
  const auto anomalies = std::count(is_anomaly.begin(), is_anomaly.end(), std::uint8_t{1});
  ENSURE(anomalies > 0, "least possible auprc: none of {} images is an anomaly", is_anomaly.size());
  const double normal = static_cast<double>(is_anomaly.size()) - static_cast<double>(anomalies);
  double total = 0.0;
  for (std::int64_t i = 1; i <= anomalies; ++i)
    total += static_cast<double>(i) / (normal + static_cast<double>(i));
  return total / static_cast<double>(anomalies);
}

}  // namespace damc
