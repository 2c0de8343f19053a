/// Variable: a tensor that remembers how it was computed.
///
/// Every operation records one edge per differentiable input; an edge's vjp (vector-Jacobian product) maps
/// dL/d(output) to dL/d(input). Because each input has its own closure, a gradient that is not asked for is
/// never computed, and nothing has to be switched off. Closures capture Tensors, never Variables, so a graph
/// cannot keep itself alive. They capture handles, not copies, and nothing watches the elements: change a value in place
/// (fill, copy_from, an optimiser's step) before an operation uses it or after grad(), not in between.
///
/// A vjp that is itself made of operations can be differentiated again (grad with create_graph): it is a closure that
/// takes `const auto& g`, and computes with tensors when g is one, with variables when g is one. Operands that it keeps
/// are Saved.
#pragma once

#include <functional>
#include <memory>
#include <type_traits>
#include <vector>

#include "tensor/tensor.h"

namespace damc {

struct Node;

class Variable {
 public:
  Variable() = default;
  /// A constant, or with requires_grad a leaf that gradients can be taken with respect to.
  Variable(Tensor value,
           bool requires_grad = false);  // NOLINT: implicit, so that ops take tensors as constants
  /// The value of a point of a graph; without one a constant.
  Variable(Tensor value, std::shared_ptr<Node> node) : value_(std::move(value)), node_(std::move(node)) {}

  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  int ndim() const { return value_.ndim(); }
  std::int64_t numel() const { return value_.numel(); }
  std::int64_t size(int i) const { return value_.size(i); }
  Dtype dtype() const { return value_.dtype(); }
  Device device() const { return value_.device(); }
  bool defined() const { return value_.defined(); }

  bool requires_grad() const { return node_ != nullptr; }
  /// The same value as a constant.
  Variable detach() const { return Variable(value_); }
  const std::shared_ptr<Node>& node() const { return node_; }

 private:
  Tensor value_;
  std::shared_ptr<Node> node_;
};

/// An operand as a vjp keeps it: the tensor, and for a vjp that is differentiated the point of the graph that it was,
/// which the edge to it keeps alive.
class Saved {
 public:
  explicit Saved(const Variable& x) : value_(x.value()), node_(x.node()) {}
  /// As g is: a tensor beside a tensor, a variable beside a variable.
  const Tensor& operator()(const Tensor& /*g*/) const { return value_; }
  Variable operator()(const Variable& /*g*/) const { return {value_, node_.lock()}; }

 private:
  Tensor value_;
  std::weak_ptr<Node> node_;
};

/// dL/d(input) from g = dL/d(output): a function of a Tensor, or of both (see above).
class Vjp {
 public:
  template <class F>
  Vjp(F f) : of_tensor_(f) {  // NOLINT: implicit, so that a lambda is one
    if constexpr (std::is_invocable_v<F, const Variable&>) {
      of_variable_ = [f](const Variable& g, const std::shared_ptr<Node>&) { return f(g); };
    }
  }
  /// f(g, y), of an operation whose derivative follows from its result y.
  template <class F>
  static Vjp of_result(const Tensor& y, F f) {
    Vjp vjp([f, y](const Tensor& g) -> Tensor { return f(g, y); });
    vjp.of_variable_ = [f, y](const Variable& g, const std::shared_ptr<Node>& node) {
      return f(g, Variable(y, node));
    };
    return vjp;
  }

  Tensor operator()(const Tensor& g, const std::shared_ptr<Node>& /*node*/) const { return of_tensor_(g); }
  /// For the node that the edge belongs to. Throws Error where the vjp takes tensors only.
  Variable operator()(const Variable& g, const std::shared_ptr<Node>& node) const;

 private:
  std::function<Tensor(const Tensor&)> of_tensor_;
  std::function<Variable(const Variable&, const std::shared_ptr<Node>&)> of_variable_;
};

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

/// One differentiable input of an operation and its vjp.
struct Input {
  const Variable& x;
  Vjp vjp;
};

/// The result of an operation: `value`, remembered together with the inputs that need a gradient.
Variable record(const char* op, Tensor value, std::initializer_list<Input> inputs);
Variable record(const char* op, Tensor value, const std::vector<Input>& inputs);

}  // namespace damc
