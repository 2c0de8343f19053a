#include "autograd/gradcheck.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "autograd/grad.h"
#include "autograd/ops.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"

namespace damc {
namespace {

using Function = std::function<Variable(const std::vector<Variable>&)>;
using Doubles = std::vector<double>;

double root_mean_square(const Doubles& x) {
  const double squares = std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
  return x.empty() ? 0.0 : std::sqrt(squares / static_cast<double>(x.size()));
}

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

/// A unit vector along which the derivative is tried, and the size of what it moves.
struct Direction {
  Doubles unit;
  double size;
  std::string words;
};

/// A derivative by both ways.
struct Derivative {
  double analytic, numeric, error;
};

/// One input: its gradient and the loss as it moves.
class Probe {
 public:
  Probe(const Function& f, const std::vector<Tensor>& inputs, std::size_t k, const Tensor& gradient,
        const Tensor& projection, const GradcheckOptions& options)
      : f_(f),
        inputs_(inputs),
        k_(k),
        projection_(projection),
        options_(options),
        gradient_(gradient.to_vector<double>()),
        sizes_(inputs[k].to_vector<double>()),
        scale_(root_mean_square(gradient_)) {
    const double typical = root_mean_square(sizes_);
    typical_ = typical > 0.0 ? typical : 1.0;
    for (double& size : sizes_) size = size != 0.0 ? std::abs(size) : typical_;
  }

  std::vector<Direction> directions(Generator& random) const;
  Derivative measure(const Direction& d) const;
  /// The element by which a direction fails most.
  Direction narrowed(const Direction& d) const;
  /// The derivatives from below and from above, and whether they differ however near one comes.
  bool is_kink(const Direction& d, double& below, double& above) const;

 private:
  const Shape& shape() const { return inputs_[k_].shape(); }
  Direction element(std::size_t i) const {
    Direction d{Doubles(sizes_.size(), 0.0), sizes_[i],
                "element " + index_of(static_cast<std::int64_t>(i), shape())};
    d.unit[i] = 1.0;
    return d;
  }
  double analytic(const Doubles& unit) const {
    return std::inner_product(unit.begin(), unit.end(), gradient_.begin(), 0.0);
  }
  double loss(const Doubles& unit, double t) const {
    std::vector<Variable> moved(inputs_.begin(), inputs_.end());
    const Tensor step = Tensor::from(unit, shape(), inputs_[k_].device());
    moved[k_] = Variable(add(inputs_[k_], mul(step, t)));
    return sum(mul(f_(moved).value(), projection_)).item();
  }
  /// The derivative, and the least size of one that rounding of the loss leaves digits of.
  std::pair<double, double> central(const Doubles& unit, double h) const {
    const double near[] = {loss(unit, h), loss(unit, -h)},
                 far[] = {loss(unit, 2.0 * h), loss(unit, -2.0 * h)};
    return {(8.0 * (near[0] - near[1]) - (far[0] - far[1])) / (12.0 * h), 1e-9 * std::abs(near[0]) / h};
  }
  double one_sided(const Doubles& unit, double h) const {
    return (4.0 * loss(unit, h) - 3.0 * loss(unit, 0.0) - loss(unit, 2.0 * h)) / (2.0 * h);
  }

  const Function& f_;
  const std::vector<Tensor>& inputs_;
  std::size_t k_;
  const Tensor& projection_;
  const GradcheckOptions& options_;
  Doubles gradient_;
  Doubles sizes_;  // of the elements; of a zero, the typical size
  double scale_, typical_;
};

std::vector<Direction> Probe::directions(Generator& random) const {
  std::vector<Direction> out;
  if (std::ssize(sizes_) <= options_.elementwise) {
    for (std::size_t i = 0; i < sizes_.size(); ++i) out.push_back(element(i));
    return out;
  }
  for (int i = 0; i < options_.directions; ++i) {
    Doubles unit = random.normal(shape(), Dtype::f64).to_vector<double>();
    for (std::size_t j = 0; j < unit.size(); ++j) unit[j] *= sizes_[j];
    const double size = root_mean_square(unit), length = size * std::sqrt(static_cast<double>(unit.size()));
    for (double& u : unit) u /= length;
    out.push_back(
        {std::move(unit), size, fmt::format("random direction {} of {}", i + 1, options_.directions)});
  }
  return out;
}

Derivative Probe::measure(const Direction& d) const {
  const double slope = analytic(d.unit);
  Derivative best{slope, 0.0, std::nan("")};
  for (const double size : {d.size, typical_, d.size / 16.0}) {
    const auto [numeric, least] = central(d.unit, options_.step * size);
    const double largest = std::max({std::abs(slope), std::abs(numeric), scale_, least});
    const double error = slope == numeric ? 0.0 : std::abs(slope - numeric) / largest;
    if (!(best.error <= error)) best = {slope, numeric, error};
    if (best.error <= options_.tolerance) break;
  }
  return best;
}

Direction Probe::narrowed(const Direction& d) const {
  std::size_t first = 0, count = d.unit.size();
  const auto error_of = [&](std::size_t from, std::size_t n) {
    Doubles part(d.unit.size(), 0.0);
    std::copy_n(d.unit.begin() + static_cast<std::ptrdiff_t>(from), n,
                part.begin() + static_cast<std::ptrdiff_t>(from));
    return std::abs(analytic(part) - central(part, options_.step * d.size).first);
  };
  while (count > 1) {
    const std::size_t half = count / 2;
    // A half that gives no number goes first.
    const bool right = !(error_of(first + half, count - half) <= error_of(first, half));
    if (right) first += half;
    count = right ? count - half : half;
  }
  return element(first);
}

bool Probe::is_kink(const Direction& d, double& below, double& above) const {
  const auto jump = [&](double h) {
    below = one_sided(d.unit, -h) + 0.0;  // no -0
    above = one_sided(d.unit, h) + 0.0;
    return std::abs(above - below) / std::max({std::abs(above), std::abs(below), scale_});
  };
  const double h = options_.step * d.size, far = jump(h), near = jump(h / 4.0);
  return near > 1e-4 && near > 0.5 * far;  // of a smooth function it falls with the cube of h
}

/// The worst of one input, if it is worse than what is in `result`.
void check_input(const Probe& probe, std::size_t k, const Shape& shape, const GradcheckOptions& options,
                 Generator& random, GradcheckResult& result) {
  for (const Direction& tried : probe.directions(random)) {
    const Derivative seen = probe.measure(tried);
    if (seen.error <= result.worst || std::isnan(result.worst)) continue;  // no number is worst of all
    const bool failed = !(seen.error <= options.tolerance);
    Direction at = tried;
    Derivative found = seen;
    if (failed && std::ssize(tried.unit) > options.elementwise) {
      const Direction element = probe.narrowed(tried);
      const Derivative there = probe.measure(element);
      if (!(there.error <= options.tolerance)) at = element, found = there;  // else no single one is at fault
    }
    result.worst = seen.error;
    result.input = k;
    result.place = at.words;
    result.analytic = found.analytic;
    result.numeric = found.numeric;
    if (!failed) continue;
    result.ok = false;
    result.message =
        fmt::format("input {} of shape {}, {}: analytic {:.12g}, numeric {:.12g}, relative error {:.3g}", k,
                    shape.str(), at.words, found.analytic, found.numeric, found.error);
    double below, above;
    result.kink = probe.is_kink(at, below, above);
    if (result.kink)
      result.message += fmt::format("; a kink: {:.6g} from below, {:.6g} from above", below, above);
  }
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
  ENSURE(y.dtype() == Dtype::f64, "gradcheck: f of f64 inputs gives {}", name(y.dtype()));
  const Tensor projection = random.normal(y.shape(), Dtype::f64);
  std::vector<Tensor> gradients;
  if (y.requires_grad()) {
    gradients = grad(y, leaves, projection);
  } else {  // a constant, which may be right
    for (const Tensor& x : inputs) gradients.push_back(Tensor::zeros(x.shape(), Dtype::f64, x.device()));
  }
  GradcheckResult result;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const Probe probe(f, inputs, k, gradients[k], projection, options);
    check_input(probe, k, inputs[k].shape(), options, random, result);
  }
  return result;
}

GradcheckResult gradgradcheck(const Function& f, const std::vector<Tensor>& inputs,
                              const GradcheckOptions& options) {
  const auto first_derivatives = [&](const std::vector<Variable>& x) {
    std::vector<Variable> leaves, parts;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      leaves.push_back(x[i].requires_grad() ? x[i] : Variable(x[i].value(), true));
    const Variable y = f(leaves);
    if (!y.requires_grad()) return Variable(Tensor::zeros({1}, Dtype::f64, y.device()));  // a constant
    for (const Variable& g : grad(y, leaves, create_graph, x.back())) parts.push_back(reshape(g, {-1}));
    return cat(parts, 0);
  };
  ENSURE(!inputs.empty(), "gradgradcheck: no inputs");
  std::vector<Tensor> with_seed = inputs;
  const Variable y = f({inputs.begin(), inputs.end()});
  // Of another seed than the projection of the gradients.
  with_seed.push_back(Generator(options.seed + 1, 0, y.device()).normal(y.shape(), Dtype::f64));
  return gradcheck(first_derivatives, with_seed, options);
}

}  // namespace damc
