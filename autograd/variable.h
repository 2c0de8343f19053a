/// Variable: a tensor that remembers how it was computed.
///
/// Every operation records one edge per differentiable input; an edge's vjp (vector-Jacobian product) maps
/// dL/d(output) to dL/d(input). Because each input has its own closure, a gradient that is not asked for is
/// never computed, and nothing has to be switched off. Closures capture Tensors, never Variables, so a graph
/// cannot keep itself alive. They capture handles, not copies, and nothing watches the elements: change a value in place
/// (fill, copy_from, an optimiser's step) before an operation uses it or after grad(), not in between.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "tensor/tensor.h"

namespace damc {

class Variable;

/// dL/d(input) from g = dL/d(output)
using Vjp = std::function<Tensor(const Tensor& g)>;

/// A point of the graph. Creation order is the tape: an input's number is always smaller than its output's.
struct Node {
  struct Edge {
    std::shared_ptr<Node> input;
    Vjp vjp;
  };

  explicit Node(const char* op_name);
  ~Node();

  const char* op;        ///< for messages; "leaf" for variables made by the user
  std::uint64_t number;  ///< creation order
  std::vector<Edge> edges;
  bool consumed = false;  ///< a gradient walk has released the edges
};

class Variable {
 public:
  Variable() = default;
  /// A constant, or with requires_grad a leaf that gradients can be taken with respect to.
  Variable(Tensor value,
           bool requires_grad = false);  // NOLINT: implicit, so that ops take tensors as constants

  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  std::int64_t size(int i) const { return value_.size(i); }
  Dtype dtype() const { return value_.dtype(); }
  Device device() const { return value_.device(); }
  bool defined() const { return value_.defined(); }

  bool requires_grad() const { return node_ != nullptr; }
  /// The same value as a constant.
  Variable detach() const { return Variable(value_); }
  const std::shared_ptr<Node>& node() const { return node_; }

 private:
  friend struct Recorder;
  Tensor value_;
  std::shared_ptr<Node> node_;
};

/// One differentiable input of an operation and its vjp.
struct Input {
  const Variable& x;
  Vjp vjp;
};

/// The result of an operation: `value`, remembered together with the inputs that need a gradient.
Variable record(const char* op, Tensor value, std::initializer_list<Input> inputs);
Variable record(const char* op, Tensor value, const std::vector<Input>& inputs);

}  // namespace damc
