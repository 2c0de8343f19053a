/// The table of differentiable operations, one row per operation and variant, and what its modes share. A
/// mode (see test_ops.cpp) runs every row in its own way, so a new operation needs a row here and nothing
/// else.
///
/// Finite differences and precisions must not cross a kink or come near a pole. Inputs keep away by
/// construction: where it matters the sign alternates along one dimension and magnitudes have a lower bound,
/// and in fused products all terms of a sum have one sign.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "autograd/grad.h"
#include "autograd/ops.h"
#include "nn/layers.h"
#include "tensor/error.h"
#include "tensor/random.h"
#include "tensor/watch/trace.h"

namespace damc {

/// An input: numbers of [low, high], those at odd indices of dimension `alternate` negated.
struct Draw {
  Shape shape;
  double low = -1.5, high = 1.5;
  int alternate = -1;
};

using Variables = std::vector<Variable>;

struct OpCase {
  std::string op;  ///< the name in autograd/ops.h; of pointwise operations: the functor that does the work
  std::string variant;
  std::vector<Draw> inputs;
  std::function<Variable(const Variables&)> f;

  std::string name() const { return variant.empty() ? op : op + ": " + variant; }
};

/// An activation that is fused into another operation, and its words in a variant.
struct FusedActivation {
  std::string words;
  Unary f;
};

inline const std::vector<FusedActivation>& fused_activations() {
  static const std::vector<FusedActivation> all{
      {"", {}}, {", leaky_relu", {UnaryOp::leaky_relu, 0.2}}, {", tanh", {UnaryOp::tanh}}};
  return all;
}

inline std::vector<OpCase> unary_cases() {
  const Draw any{{3, 5}}, positive{{3, 5}, 0.4, 2.0}, off_zero{{3, 5}, 0.4, 2.0, 1};
  return {
      {"identity", "", {any}, [](const Variables& x) { return unary({}, x[0]); }},
      {"affine", "", {any}, [](const Variables& x) { return affine(x[0], 1.7, -0.3); }},
      {"affine", "x c", {any}, [](const Variables& x) { return mul(x[0], 0.7); }},
      {"affine", "c x", {any}, [](const Variables& x) { return -1.3 * x[0]; }},
      {"affine", "x + c", {any}, [](const Variables& x) { return add(x[0], 0.7); }},
      {"affine", "-x", {any}, [](const Variables& x) { return -x[0]; }},
      {"exp", "", {any}, [](const Variables& x) { return exp(x[0]); }},
      {"log", "", {positive}, [](const Variables& x) { return log(x[0]); }},
      {"sqrt", "", {positive}, [](const Variables& x) { return sqrt(x[0]); }},
      {"square", "", {any}, [](const Variables& x) { return square(x[0]); }},
      {"reciprocal", "", {off_zero}, [](const Variables& x) { return reciprocal(x[0]); }},
      {"sin", "", {any}, [](const Variables& x) { return sin(x[0]); }},
      {"cos", "", {any}, [](const Variables& x) { return cos(x[0]); }},
      {"atan", "", {any}, [](const Variables& x) { return atan(x[0]); }},
      {"tanh", "", {any}, [](const Variables& x) { return tanh(x[0]); }},
      {"sigmoid", "", {any}, [](const Variables& x) { return sigmoid(x[0]); }},
      {"softplus", "", {any}, [](const Variables& x) { return softplus(x[0]); }},
      {"silu", "", {any}, [](const Variables& x) { return silu(x[0]); }},
      {"leaky_relu", "", {off_zero}, [](const Variables& x) { return leaky_relu(x[0], 0.2); }},
      {"leaky_relu", "relu", {off_zero}, [](const Variables& x) { return relu(x[0]); }},
      {"clamp", "from below", {off_zero}, [](const Variables& x) { return clamp(x[0], -0.3, 3.0); }},
      {"clamp", "from above", {off_zero}, [](const Variables& x) { return clamp(x[0], -3.0, 0.3); }},
      {"greater", "times x", {off_zero}, [](const Variables& x) { return x[0] * greater(x[0], 0.2); }},
  };
}

inline std::vector<OpCase> binary_cases() {
  struct Pattern {
    std::string words;
    Shape a, b;
  };
  const std::vector<Pattern> patterns{{"same shape", {2, 3, 4}, {2, 3, 4}}, {"scalar right", {2, 3}, {}},
                                      {"scalar left", {}, {2, 3}},          {"row right", {2, 3, 4}, {4}},
                                      {"row left", {4}, {2, 3, 4}},         {"column", {2, 3, 4}, {2, 3, 1}},
                                      {"middle", {2, 3, 4}, {2, 1, 4}},     {"outer", {3, 1}, {1, 4}},
                                      {"crossed", {2, 1, 4}, {3, 1}},       {"one of one", {1, 1}, {1}}};
  std::vector<OpCase> rows;
  for (const Pattern& p : patterns) {
    const std::vector<Draw> inputs{{p.a}, {p.b, 0.5, 2.0, p.b.ndim() - 1}};
    rows.push_back({"add", p.words, inputs, [](const Variables& x) { return x[0] + x[1]; }});
    rows.push_back({"sub", p.words, inputs, [](const Variables& x) { return x[0] - x[1]; }});
    rows.push_back({"mul", p.words, inputs, [](const Variables& x) { return x[0] * x[1]; }});
    rows.push_back({"div", p.words, inputs, [](const Variables& x) { return x[0] / x[1]; }});
  }
  return rows;
}

inline std::vector<OpCase> shape_cases() {
  const Draw x{{2, 3, 4}};
  std::vector<OpCase> rows{
      {"sum", "all", {x}, [](const Variables& v) { return sum(v[0]); }},
      {"mean", "", {x}, [](const Variables& v) { return mean(v[0]); }},
  };
  for (const Shape& to : {Shape{6, 4}, Shape{4, -1}, Shape{24}}) {
    rows.push_back({"reshape", to.str(), {x}, [to](const Variables& v) { return reshape(v[0], to); }});
  }
  rows.push_back({"reshape", "[]", {{{1, 1}}}, [](const Variables& v) { return reshape(v[0], {}); }});
  for (const int dim : {0, 1, 2, -1}) {
    const std::string words = "dim " + std::to_string(dim);
    rows.push_back({"sum", words, {x}, [dim](const Variables& v) { return sum(v[0], dim); }});
    rows.push_back({"narrow", words, {x}, [dim](const Variables& v) { return narrow(v[0], dim, 1, 1); }});
    Shape wide{2, 3, 4};
    wide[dim < 0 ? dim + 3 : dim] = 5;
    rows.push_back({"cat", words, {x, {wide}, x}, [dim](const Variables& v) { return cat(v, dim); }});
  }
  rows.push_back({"narrow", "empty", {x}, [](const Variables& v) { return narrow(v[0], 1, 3, 0); }});
  return rows;
}

inline std::vector<OpCase> product_cases() {
  const auto product = [](const Variables& x) { return matmul(x[0], x[1]); };
  const auto features = [](const Variables& x) { return fourier_features(x[0], x[1]); };
  std::vector<OpCase> rows{
      {"matmul", "", {{{5, 4}}, {{4, 3}}}, product},
      {"matmul", "row times column", {{{1, 4}}, {{4, 1}}}, product},
      {"matmul", "column times row", {{{4, 1}}, {{1, 3}}}, product},
      {"matmul", "batched", {{{2, 5, 4}}, {{2, 4, 3}}}, product},
      {"fourier_features", "", {{{3, 4}}, {{4, 2}, -0.3, 0.3}}, features},
  };
  const Draw x{{5, 4}, 0.5, 1.5}, w{{3, 4}, 0.1, 0.3, 0}, bias{{3}, 0.1, 0.5, 0};
  for (const FusedActivation& activation : fused_activations()) {
    const auto run = [act = activation.f](const Variables& v) {
      return linear(v[0], v[1], v.size() > 2 ? v[2] : Variable(), {act});
    };
    rows.push_back({"linear", "no bias" + activation.words, {x, w}, run});
    rows.push_back({"linear", "bias" + activation.words, {x, w, bias}, run});
  }
  return rows;
}

/// Sizes of one convolution: image h x w x in, kernel kh x kw, `out` channels.
struct ConvSizes {
  std::string words;
  std::int64_t h, w, in, kh, kw, out;
  Pair stride, padding;
};

/// Rows of conv2d or conv_transpose2d for each geometry, with and without bias, with each activation.
template <class Conv>
std::vector<OpCase> convolution_cases(const std::string& op, const std::vector<ConvSizes>& geometries,
                                      bool transposed, Conv conv) {
  std::vector<OpCase> rows;
  for (const ConvSizes& s : geometries) {
    // Weights are sized so that a sum is of order 1: tanh neither saturates nor stays linear.
    const std::int64_t overlap = transposed ? s.stride.h * s.stride.w : 1;
    const double terms =
        std::max(1.0, static_cast<double>(s.kh * s.kw * s.in) / static_cast<double>(overlap));
    const Shape filter = transposed ? Shape{s.in, s.kh, s.kw, s.out} : Shape{s.out, s.kh, s.kw, s.in};
    const Draw x{{3, s.h, s.w, s.in}, 0.5, 1.5}, w{filter, 0.3 / terms, 0.9 / terms, transposed ? 3 : 0};
    const Draw bias{{s.out}, 0.1, 0.5, 0};
    for (const FusedActivation& activation : fused_activations()) {
      const auto run = [conv, act = activation.f,
                        options = ConvOptions{s.stride, s.padding}](const Variables& v) {
        return conv(v[0], v[1], v.size() > 2 ? v[2] : Variable(), options, ProductOptions{act});
      };
      rows.push_back({op, s.words + ", no bias" + activation.words, {x, w}, run});
      rows.push_back({op, s.words + ", bias" + activation.words, {x, w, bias}, run});
    }
  }
  return rows;
}

inline std::vector<OpCase> conv2d_cases() {
  return convolution_cases("conv2d",
                           {{"3x3", 5, 6, 2, 3, 3, 4, 1, 1},
                            {"4x4 stride 2", 6, 8, 3, 4, 4, 2, 2, 1},
                            {"whole image", 4, 4, 3, 4, 4, 5, 1, 0},
                            {"1x1", 3, 4, 3, 1, 1, 4, 1, 0},
                            {"1x1 stride 2", 5, 4, 2, 1, 1, 3, 2, 0},
                            {"1x1 in a margin", 3, 2, 2, 1, 1, 3, 1, 1},
                            {"2x3 with unused rim", 6, 7, 2, 2, 3, 3, 3, 0},
                            {"1x7", 3, 8, 2, 1, 7, 3, 1, {0, 3}},
                            {"7x1 stride 2x1", 8, 3, 2, 7, 1, 3, {2, 1}, {3, 0}}},
                           false, [](const auto&... arguments) { return conv2d(arguments...); });
}

inline std::vector<OpCase> conv_transpose2d_cases() {
  return convolution_cases("conv_transpose2d",
                           {{"3x3", 4, 5, 2, 3, 3, 3, 1, 1},
                            {"4x4 stride 2", 3, 4, 4, 4, 4, 2, 2, 1},
                            {"from one pixel", 1, 1, 5, 4, 4, 3, 1, 0},
                            {"1x1 stride 2, with gaps", 3, 2, 3, 1, 1, 2, 2, 0},
                            {"2x3 stride 3, cut by a margin", 3, 3, 2, 2, 3, 3, 3, 1},
                            {"1x7 stride 1x2", 3, 3, 2, 1, 7, 3, {1, 2}, {0, 3}},
                            {"7x1", 8, 3, 2, 7, 1, 3, 1, {3, 0}}},
                           true, [](const auto&... arguments) { return conv_transpose2d(arguments...); });
}

/// Images of distinct elements, none within a finite difference of another, so that no maximum changes place.
inline std::vector<OpCase> pooling_cases() {
  const Draw x{{2, 6, 7, 3}};
  const std::vector<std::pair<std::string, PoolOptions>> windows{
      {"2", {.kernel = 2}},
      {"3x3 stride 2", {.kernel = 3, .stride = 2}},
      {"3x3 stride 1, padding 1", {.kernel = 3, .stride = 1, .padding = 1}},
      {"3x3 stride 1, padding not counted",
       {.kernel = 3, .stride = 1, .padding = 1, .count_include_pad = false}},
      {"1x4 stride 2x3, padding 0x2", {.kernel = {1, 4}, .stride = Pair(2, 3), .padding = {0, 2}}},
      {"the whole image", {.kernel = {6, 7}}}};
  std::vector<OpCase> rows;
  for (const auto& [words, options] : windows) {
    rows.push_back(
        {"max_pool2d", words, {x}, [o = options](const Variables& v) { return max_pool2d(v[0], o); }});
    rows.push_back(
        {"avg_pool2d", words, {x}, [o = options](const Variables& v) { return avg_pool2d(v[0], o); }});
  }
  return rows;
}

inline std::vector<OpCase> norm_cases() {
  std::vector<OpCase> rows;
  for (const FusedActivation& activation : fused_activations()) {
    const Unary act = activation.f;
    // A normalised pixel of so few stays below 3 in size, so that this bias decides the sign of what
    // leaky_relu gets.
    const bool kink = act.op == UnaryOp::leaky_relu;
    const Draw x{{2, 3, 4, 3}}, w{{3}, 0.5, 1.0}, b = kink ? Draw{{3}, 3.0, 4.0, 0} : Draw{{3}, -0.5, 0.5};
    rows.push_back({"instance_norm", "eps 1e-5" + activation.words, {x, w, b}, [act](const Variables& v) {
                      return instance_norm(v[0], v[1], v[2], 1e-5, act);
                    }});
    rows.push_back({"instance_norm", "eps 0.1" + activation.words, {x, w, b}, [act](const Variables& v) {
                      return instance_norm(v[0], v[1], v[2], 0.1, act);
                    }});
  }
  return rows;
}

inline std::vector<OpCase> class_cases() {
  const Draw scores{{4, 5}};
  return {
      {"log_softmax", "", {scores}, [](const Variables& x) { return log_softmax(x[0]); }},
      {"log_softmax",
       "three dimensions",
       {{{2, 3, 4}}},
       [](const Variables& x) { return log_softmax(x[0]); }},
      {"log_softmax", "one class", {{{3, 1}}}, [](const Variables& x) { return log_softmax(x[0]); }},
      {"cross_entropy",
       "",
       {scores},
       [](const Variables& x) {
         const Tensor shares = affine(Generator(3).uniform({4, 5}, x[0].dtype()), 0.2, 0.1);
         return cross_entropy(x[0], shares.to(x[0].device()));
       }},
  };
}

/// The table.
inline const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> table = [] {
    std::vector<OpCase> all;
    for (const auto& part : {unary_cases(), binary_cases(), shape_cases(), product_cases(), conv2d_cases(),
                             conv_transpose2d_cases(), pooling_cases(), norm_cases(), class_cases()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return table;
}

/// The inputs of a row. The same numbers in every type and on every device: those that f32 can hold.
inline std::vector<Tensor> make_inputs(const OpCase& row, Dtype dtype, Device device = {}) {
  constexpr std::uint64_t seed = 20240607;
  std::vector<Tensor> inputs;
  for (const Draw& draw : row.inputs) {
    std::vector<float> values = Generator(seed, inputs.size()).uniform(draw.shape).to_vector<float>();
    std::int64_t inner = 1;
    for (int d = draw.alternate + 1; d < draw.shape.ndim(); ++d) inner *= draw.shape[d];
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double value = draw.low + (draw.high - draw.low) * static_cast<double>(values[i]);
      const bool negate =
          draw.alternate >= 0 && static_cast<std::int64_t>(i) / inner % draw.shape[draw.alternate] % 2;
      values[i] = static_cast<float>(negate ? -value : value);
    }
    inputs.push_back(Tensor::from(values, draw.shape).to(dtype).to(device));
  }
  return inputs;
}

/// What a row gives: its value, and the gradients of sum(value c) for all inputs, c random and the same on
/// every device.
struct OpResult {
  Tensor value;
  std::vector<Tensor> gradients;
};

inline OpResult evaluate(const OpCase& row, const std::vector<Tensor>& inputs) {
  Variables leaves;
  for (const Tensor& input : inputs) leaves.emplace_back(input, true);
  const Variable y = row.f(leaves);
  const Tensor c = Generator(5).normal(y.shape(), y.dtype()).to(y.device());
  return {y.value(), grad(y, leaves, c)};
}

/// |got - wanted| / |wanted| in the Euclidean norm; |got| where all that is wanted is 0.
inline double relative_error(const Tensor& got, const Tensor& wanted) {
  ENSURE(got.shape() == wanted.shape(), "relative_error: shapes {} and {}", got.shape().str(),
         wanted.shape().str());
  const std::vector<double> a = got.to_vector<double>(), b = wanted.to_vector<double>();
  double difference = 0.0, size = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(size > 0.0 ? difference / size : difference);
}

/// Notes every kernel that runs on the CPU while it lives.
class KernelLog {
 public:
  struct Call {
    std::string kernel;
    Shape out;
  };

  KernelLog()
      : override_(Device{},
                  std::make_unique<ObservedBackend>(
                      backend(Device{}), [this](const char* kernel, const Tensor& out, const auto& call) {
                        calls.push_back({kernel, out.shape()});
                        call();
                      })) {}

  std::int64_t count(const std::string& kernel) const {
    return std::count_if(calls.begin(), calls.end(), [&](const Call& call) { return call.kernel == kernel; });
  }

  std::vector<Call> calls;

 private:
  BackendOverride override_;
};

}  // namespace damc
