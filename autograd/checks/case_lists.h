/// The parts that the table of operations is made of (op_cases.cpp), a list for each kind of operation.
#pragma once

#include "autograd/checks/op_case.h"
#include "tensor/kernels/functors.h"

namespace damc {

/// An activation that is fused into another operation, and its words in a variant.
struct FusedActivation {
  std::string words;
  Unary f;
};

/// None, and one each that selects and that bends.
const std::vector<FusedActivation>& fused_activations();

std::vector<OpCase> unary_cases();
std::vector<OpCase> binary_cases();
std::vector<OpCase> selection_cases();
std::vector<OpCase> reduction_cases();
std::vector<OpCase> shape_cases();
std::vector<OpCase> index_cases();
std::vector<OpCase> product_cases();
std::vector<OpCase> conv2d_cases();
std::vector<OpCase> conv_transpose2d_cases();
std::vector<OpCase> pooling_cases();
std::vector<OpCase> norm_cases();
std::vector<OpCase> class_cases();

}  // namespace damc
