/// The table of differentiable operations, one row per operation and variant. `damc gradcheck` and the modes of the
/// tests (tests/test_ops.cpp) run every row, each in its own way, so a new operation needs a row in one of the lists
/// beside this file and nothing else.
///
/// Finite differences and precisions must not cross a kink or come near a pole. Inputs keep away by
/// construction: where it matters the sign alternates along one dimension and magnitudes have a lower bound,
/// and in fused products all terms of a sum have one sign.
#pragma once

#include <vector>

#include "autograd/checks/op_case.h"

namespace damc {

/// The table.
const std::vector<OpCase>& op_cases();

/// The inputs of a row. The same numbers in every type and on every device: those that f32 can hold.
std::vector<Tensor> make_inputs(const OpCase& row, Dtype dtype, Device device = {});

/// What a row gives: its value, and the gradients of sum(value c) for all inputs, c random and the same on
/// every device.
struct OpResult {
  Tensor value;
  std::vector<Tensor> gradients;
};
OpResult evaluate(const OpCase& row, const std::vector<Tensor>& inputs);

/// |got - wanted| / |wanted| in the Euclidean norm; |got| where all that is wanted is 0. Throws Error for other shapes.
double relative_error(const Tensor& got, const Tensor& wanted);

}  // namespace damc
