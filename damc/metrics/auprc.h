/// Anomaly detection as a ranking: the area under its precision-recall curve, and what it is to be compared with.
#pragma once

#include <cstdint>
#include <span>

namespace damc {

/// Area under the precision-recall curve with anomalies as the positive class and high scores as the
/// prediction. Every distinct score is a threshold; the curve starts at recall 0, precision 1, and the area
/// is the trapezoids' (not "average precision"). Throws Error when sizes differ, nothing is an anomaly, or a
/// score is not a number.
double auprc(std::span<const double> scores, std::span<const std::uint8_t> is_anomaly);

/// The anomalies' share of all images: what a random score's area comes to. Throws Error when there are none
/// at all.
double anomaly_share(std::span<const std::uint8_t> is_anomaly);

/// The least area that a ranking without ties can have: every normal image above every anomaly, mean over i of
/// i / (normal images + i) with i from 1 to the number of anomalies. Throws Error when nothing is an anomaly.
double least_possible_auprc(std::span<const std::uint8_t> is_anomaly);

}  // namespace damc
