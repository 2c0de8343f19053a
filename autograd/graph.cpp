#include "autograd/graph.h"

#include <algorithm>
#include <set>
#include <vector>

namespace damc {

std::string to_dot(const Variable& y) {
  std::vector<const Node*> nodes;
  std::set<const Node*> seen;
  const auto meet = [&](const Node* node) {
    if (seen.insert(node).second) nodes.push_back(node);
  };
  if (y.node()) meet(y.node().get());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (const Node::Edge& edge : nodes[i]->edges) meet(edge.input.get());
  }
  // Numbered by creation, so that equal programs give equal pictures.
  std::ranges::sort(nodes, {}, &Node::number);
  const auto place = [&](const Node* node) {
    return std::ranges::lower_bound(nodes, node->number, {}, &Node::number) - nodes.begin();
  };
  std::string text = "digraph {\n";
  for (const Node* node : nodes) {
    text += fmt::format("  n{} [label=\"{}\", shape={}]\n", place(node), node->op,
                        node->edges.empty() ? "ellipse" : "box");
    for (const Node::Edge& edge : node->edges)
      text += fmt::format("  n{} -> n{}\n", place(edge.input.get()), place(node));
  }
  return text + "}\n";
}

std::string to_string(const Variable& v) {
  return to_string(v.value()) + (v.requires_grad() ? fmt::format(", from {}", v.node()->op) : "");
}

}  // namespace damc
