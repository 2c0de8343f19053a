#include "autograd/checks/op_cases.h"

#include <cmath>

#include "autograd/checks/case_lists.h"
#include "autograd/grad.h"
#include "tensor/error.h"
#include "tensor/random.h"

namespace damc {

const std::vector<FusedActivation>& fused_activations() {
  static const std::vector<FusedActivation> all{
      {"", {}}, {", leaky_relu", {UnaryOp::leaky_relu, 0.2}}, {", tanh", {UnaryOp::tanh}}};
  return all;
}

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> table = [] {
    std::vector<OpCase> all;
    for (const auto& part : {unary_cases(), binary_cases(), selection_cases(), reduction_cases(),
                             shape_cases(), index_cases(), product_cases(), conv2d_cases(),
                             conv_transpose2d_cases(), pooling_cases(), norm_cases(), class_cases()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return table;
}

std::vector<Tensor> make_inputs(const OpCase& row, Dtype dtype, Device device) {
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

OpResult evaluate(const OpCase& row, const std::vector<Tensor>& inputs) {
  Variables leaves;
  for (const Tensor& input : inputs) leaves.emplace_back(input, true);
  const Variable y = row.f(leaves);
  const Tensor c = Generator(5).normal(y.shape(), y.dtype()).to(y.device());
  return {y.value(), grad(y, leaves, c)};
}

double relative_error(const Tensor& got, const Tensor& wanted) {
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

}  // namespace damc
