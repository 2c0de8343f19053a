/// A row of the table of operations (op_cases.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/variable.h"

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

}  // namespace damc
