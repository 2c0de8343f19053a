#include "autograd/variable.h"

#include <atomic>
#include <span>

namespace damc {
namespace {

std::uint64_t next_number() {
  static std::atomic<std::uint64_t> counter{0};
  return ++counter;
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

struct Recorder {
  static Variable record(const char* op, Tensor value, std::span<const Input> inputs) {
    Variable out(std::move(value));
    for (const Input& input : inputs) {
      if (!input.x.requires_grad()) continue;
      if (!out.node_) out.node_ = std::make_shared<Node>(op);
      out.node_->edges.push_back({input.x.node(), input.vjp});
    }
    return out;
  }
};

Variable record(const char* op, Tensor value, std::initializer_list<Input> inputs) {
  return Recorder::record(op, std::move(value), {inputs.begin(), inputs.size()});
}

Variable record(const char* op, Tensor value, const std::vector<Input>& inputs) {
  return Recorder::record(op, std::move(value), inputs);
}

}  // namespace damc
