#include "autograd/variable.h"

#include <atomic>
#include <span>

#include "tensor/error.h"

namespace damc {
namespace {

std::uint64_t next_number() {
  static std::atomic<std::uint64_t> counter{0};
  return ++counter;
}

Variable record_edges(const char* op, Tensor value, std::span<const Input> inputs) {
  std::shared_ptr<Node> node;
  for (const Input& input : inputs) {
    if (!input.x.requires_grad()) continue;
    if (!node) node = std::make_shared<Node>(op);
    node->edges.push_back({input.x.node(), input.vjp});
  }
  return {std::move(value), std::move(node)};
}

}  // namespace

Node::Node(const char* op_name) : op(op_name), number(next_number()) {}

/// Dropping the last reference to the end of a long chain must not recurse through it: nodes that would die
/// here hand their edges to a list that is emptied in a loop.
Node::~Node() {
  std::vector<Edge> dying = std::move(edges);
  while (!dying.empty()) {
    const Edge edge = std::move(dying.back());
    dying.pop_back();
    if (edge.input && edge.input.use_count() == 1) {
      for (Edge& deeper : edge.input->edges) dying.push_back(std::move(deeper));
      edge.input->edges.clear();
    }
  }
}

Variable::Variable(Tensor value, bool requires_grad) : value_(std::move(value)) {
  if (requires_grad) node_ = std::make_shared<Node>("leaf");
}

Variable Vjp::operator()(const Variable& g, const std::shared_ptr<Node>& node) const {
  ENSURE(of_variable_, "grad: the gradient of '{}' is not made of operations; it has no second derivative",
         node->op);
  return of_variable_(g, node);
}

Variable record(const char* op, Tensor value, std::initializer_list<Input> inputs) {
  return record_edges(op, std::move(value), {inputs.begin(), inputs.size()});
}

Variable record(const char* op, Tensor value, const std::vector<Input>& inputs) {
  return record_edges(op, std::move(value), inputs);
}

}  // namespace damc
