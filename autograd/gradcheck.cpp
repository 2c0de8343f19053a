#include "autograd/gradcheck.h"

#include <algorithm>
#include <cmath>

#include "autograd/grad.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"

namespace damc {
namespace {

using Function = std::function<Variable(const std::vector<Variable>&)>;

double dot(const Tensor& a, const Tensor& b) { return sum(mul(a, b)).item(); }

/// dL/dt of L(inputs with inputs[k] + t direction) at t = 0, from four points.
double difference(const Function& f, const std::vector<Tensor>& inputs, std::size_t k,
                  const Tensor& direction, const Tensor& projection, double h) {
  const auto loss = [&](double t) {
    std::vector<Variable> moved(inputs.begin(), inputs.end());
    moved[k] = Variable(add(inputs[k], mul(direction, t)));
    return dot(f(moved).value(), projection);
  };
  return (8.0 * (loss(h) - loss(-h)) - (loss(2.0 * h) - loss(-2.0 * h))) / (12.0 * h);
}

/// Unit vectors along which the derivative is tried.
std::vector<Tensor> directions(const Tensor& x, const GradcheckOptions& options, Generator& random) {
  std::vector<Tensor> out;
  if (x.numel() <= options.elementwise) {
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      std::vector<double> unit(static_cast<std::size_t>(x.numel()), 0.0);
      unit[static_cast<std::size_t>(i)] = 1.0;
      out.push_back(Tensor::from(unit, x.shape(), x.device()));
    }
    return out;
  }
  for (int i = 0; i < options.directions; ++i) {
    const Tensor d = random.normal(x.shape(), Dtype::f64);
    out.push_back(mul(d, 1.0 / std::sqrt(sum_squares(d).item())));
  }
  return out;
}

}  // namespace

GradcheckResult gradcheck(const Function& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options) {
  std::vector<Variable> leaves;
  for (const Tensor& x : inputs) {
    ENSURE(x.dtype() == Dtype::f64, "gradcheck: inputs must be f64, got {}", name(x.dtype()));
    leaves.emplace_back(x, true);
  }
  ENSURE(!inputs.empty(), "gradcheck: no inputs");
  Generator random(options.seed, 0, inputs[0].device());
  const Variable y = f(leaves);
  const Tensor projection = random.normal(y.shape(), Dtype::f64);
  const std::vector<Tensor> gradients = grad(y, leaves, projection);

  GradcheckResult result;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const double scale = std::sqrt(sum_squares(gradients[k]).item() / static_cast<double>(inputs[k].numel()));
    for (const Tensor& direction : directions(inputs[k], options, random)) {
      const double analytic = dot(gradients[k], direction);
      const double numeric = difference(f, inputs, k, direction, projection, options.step);
      const double size = std::max({std::abs(analytic), std::abs(numeric), scale, 1e-12});
      const double error = std::abs(analytic - numeric) / size;
      if (!(error <= result.worst)) result.worst = error;
      if (!(error <= options.tolerance) && result.ok) {
        result.ok = false;
        result.message =
            fmt::format("input {} of shape {}: analytic {:.12g}, numeric {:.12g}, relative error {:.3g}", k,
                        inputs[k].shape().str(), analytic, numeric, error);
      }
    }
  }
  return result;
}

}  // namespace damc
