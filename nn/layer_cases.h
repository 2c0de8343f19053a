/// The rows of the table of operations (autograd/checks/op_cases.h) that layers add to it: each is a function of its
/// input and its parameters.
#pragma once

#include "autograd/checks/op_case.h"

namespace damc {

std::vector<OpCase> layer_cases();

}  // namespace damc
