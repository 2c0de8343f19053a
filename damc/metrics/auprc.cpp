#include "damc/metrics/auprc.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "tensor/error.h"

namespace damc {

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
