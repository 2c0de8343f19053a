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

/// A unit vector along which the derivative is tried, and its words in a message.
struct Direction {
  Tensor unit;
  std::string words;
};

/// "[1, 0, 3]": where element number i of a tensor of this shape is.
std::string index_of(std::int64_t i, const Shape& shape) {
  Shape index = shape.contiguous_strides();
  for (int d = 0; d < shape.ndim(); ++d) {
    const std::int64_t stride = index[d];
    index[d] = i / stride;
    i %= stride;
  }
  return index.str();
}

std::vector<Direction> directions(const Tensor& x, const GradcheckOptions& options, Generator& random) {
  std::vector<Direction> out;
  if (x.numel() <= options.elementwise) {
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      std::vector<double> unit(static_cast<std::size_t>(x.numel()), 0.0);
      unit[static_cast<std::size_t>(i)] = 1.0;
      out.push_back({Tensor::from(unit, x.shape(), x.device()), "element " + index_of(i, x.shape())});
    }
    return out;
  }
  for (int i = 0; i < options.directions; ++i) {
    const Tensor d = random.normal(x.shape(), Dtype::f64);
    out.push_back({mul(d, 1.0 / std::sqrt(sum_squares(d).item())),
                   fmt::format("random direction {} of {}", i + 1, options.directions)});
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
  std::vector<Tensor> gradients;
  if (y.requires_grad()) {
    gradients = grad(y, leaves, projection);
  } else {  // a constant, which may be right
    for (const Tensor& x : inputs) gradients.push_back(Tensor::zeros(x.shape(), Dtype::f64, x.device()));
  }

  GradcheckResult result;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const double scale = std::sqrt(sum_squares(gradients[k]).item() / static_cast<double>(inputs[k].numel()));
    for (const auto& [unit, words] : directions(inputs[k], options, random)) {
      const double analytic = dot(gradients[k], unit);
      const double numeric = difference(f, inputs, k, unit, projection, options.step);
      const double size = std::max({std::abs(analytic), std::abs(numeric), scale, 1e-12});
      const double error = std::abs(analytic - numeric) / size;
      if (error <= result.worst || std::isnan(result.worst)) continue;  // no number is worst of all
      result.worst = error;
      if (error <= options.tolerance) continue;
      result.ok = false;
      result.message =
          fmt::format("input {} of shape {}, {}: analytic {:.12g}, numeric {:.12g}, relative error {:.3g}", k,
                      inputs[k].shape().str(), words, analytic, numeric, error);
    }
  }
  return result;
}

}  // namespace damc
