#include "damc/metrics/statistics.h"

#include <cmath>

#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

constexpr std::int64_t kRowsOfProduct = 1024;

}  // namespace

void StatisticsStream::add(const Tensor& features) {
  ENSURE(features.ndim() == 2, "statistics: features are {}, expected [images, numbers]",
         features.shape().str());
  ENSURE(!shift_.defined() || features.size(1) == shift_.size(0),
         "statistics: features of {} numbers after {}", features.size(1), shift_.size(0));
  if (features.size(0) == 0) return;
  const Tensor x = features.to(Device{}).to(Dtype::f64);
  if (!shift_.defined()) {
    const std::int64_t d = x.size(1);
    shift_ = mul(sum(x, 0), 1.0 / static_cast<double>(x.size(0)));
    sum_ = Tensor::zeros({d}, Dtype::f64);
    products_ = Tensor::zeros({d, d}, Dtype::f64);
  }
  const Tensor moved = sub(x, shift_);
  const Tensor sums = sum(moved, 0);
  ENSURE(std::isfinite(sum(sums).item()), "statistics: a feature of images {} to {} is not finite", n_,
         n_ + x.size(0) - 1);
  sum_ = damc::add(sum_, sums);
  n_ += x.size(0);
  waiting_ += x.size(0);
  batches_.push_back(moved);
  if (waiting_ >= kRowsOfProduct) fold();
  if (keep_) kept_.push_back(features.to(Device{}));
}

void StatisticsStream::fold() {
  if (batches_.empty()) return;
  const Tensor rows = cat(batches_, 0);
  products_ = damc::add(products_, matmul(rows.transpose(0, 1), rows));
  batches_.clear();
  waiting_ = 0;
}

Statistics StatisticsStream::finish() {
  ENSURE(n_ >= 2, "statistics: {} images, at least 2 are needed", n_);
  fold();
  const auto n = static_cast<double>(n_);
  const Tensor mean = mul(sum_, 1.0 / n);  // less the shift
  const std::int64_t d = mean.size(0);
  const Tensor outer = damc::mul(mean.reshape({d, 1}), mean.reshape({1, d}));
  const Tensor covariance = mul(sub(products_, mul(outer, n)), 1.0 / (n - 1.0));
  return {n_, damc::add(shift_, mean), covariance, keep_ ? cat(kept_, 0) : Tensor()};
}

Statistics statistics(const Tensor& features) {
  StatisticsStream stream(true);
  stream.add(features);
  return stream.finish();
}

Tensor centred(const Statistics& of) { return sub(of.features.to(Dtype::f64), of.mean); }

}  // namespace damc
