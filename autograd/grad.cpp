#include "autograd/grad.h"

#include <algorithm>
#include <unordered_map>

#include "autograd/ops.h"
#include "tensor/error.h"

namespace damc {
namespace {

/// What the walk knows of one node; G is Tensor, or Variable for gradients that can be differentiated.
template <class G>
struct Visit {
  std::shared_ptr<Node> node;
  bool wanted = false;  // on a path to one of the xs
  G gradient;
};

/// All nodes y depends on, latest first.
template <class G>
std::vector<Visit<G>> collect(const std::shared_ptr<Node>& root) {
  std::vector<Visit<G>> visits;
  std::unordered_map<const Node*, bool> seen;
  std::vector<std::shared_ptr<Node>> stack{root};
  while (!stack.empty()) {
    std::shared_ptr<Node> node = std::move(stack.back());
    stack.pop_back();
    if (!seen.emplace(node.get(), true).second) continue;
    ENSURE(!node->consumed, "grad: the graph through '{}' was used by an earlier gradient; compute y again",
           node->op);
    for (const Node::Edge& edge : node->edges) stack.push_back(edge.input);
    visits.push_back({std::move(node), false, {}});
  }
  std::sort(visits.begin(), visits.end(),
            [](const Visit<G>& a, const Visit<G>& b) { return a.node->number > b.node->number; });
  return visits;
}

template <class G>
G initial_gradient(const Variable& y, const G& seed) {
  if (!seed.defined()) {
    ENSURE(y.numel() == 1, "grad: y has shape {}; only a scalar needs no seed", y.shape().str());
    return Tensor::full(y.shape(), 1.0, y.dtype(), y.device());
  }
  ENSURE(seed.shape() == y.shape() && seed.dtype() == y.dtype() && seed.device() == y.device(),
         "grad: seed {} {} on {} for y {} {} on {}", seed.shape().str(), name(seed.dtype()),
         seed.device().str(), y.shape().str(), name(y.dtype()), y.device().str());
  return seed;
}

/// Runs the edges between y and the xs, and consumes the graph unless it is kept; found[i] is left undefined where y
/// does not depend on xs[i].
template <class G>
void walk(const Variable& y, const std::vector<Variable>& xs, const G& seed, bool keep,
          std::vector<G>& found) {
  std::vector<Visit<G>> visits = collect<G>(y.node());
  std::unordered_map<const Node*, Visit<G>*> visit_of;
  for (Visit<G>& visit : visits) visit_of[visit.node.get()] = &visit;
  for (const Variable& x : xs) {
    if (const auto it = visit_of.find(x.node().get()); it != visit_of.end()) it->second->wanted = true;
  }
  for (auto visit = visits.rbegin(); visit != visits.rend(); ++visit) {
    for (const Node::Edge& edge : visit->node->edges) visit->wanted |= visit_of[edge.input.get()]->wanted;
  }
  visits.front().gradient = initial_gradient(y, seed);
  for (Visit<G>& visit : visits) {
    Node& node = *visit.node;
    if (visit.wanted && visit.gradient.defined()) {
      for (Node::Edge& edge : node.edges) {
        Visit<G>& input = *visit_of[edge.input.get()];
        if (!input.wanted) continue;
        G g = edge.vjp(visit.gradient, visit.node);
        input.gradient = input.gradient.defined() ? add(input.gradient, g) : std::move(g);
      }
    }
    if (!keep) {
      node.consumed = !node.edges.empty();
      node.edges.clear();
    }
    for (std::size_t i = 0; i < xs.size(); ++i) {
      if (xs[i].node() == visit.node) found[i] = visit.gradient;
    }
    visit.gradient = {};
  }
}

template <class G>
std::vector<G> gradients(const Variable& y, const std::vector<Variable>& xs, const G& seed, bool keep) {
  for (const Variable& x : xs)
    ENSURE(x.requires_grad(), "grad: an x of shape {} takes no gradient", x.shape().str());
  ENSURE(y.requires_grad(),
         "grad: y of shape {} has no graph: it is a constant, detached, or computed from such only",
         y.shape().str());
  std::vector<G> found(xs.size());
  walk(y, xs, seed, keep, found);
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (!found[i].defined()) found[i] = Tensor::zeros(xs[i].shape(), xs[i].dtype(), xs[i].device());
    ENSURE(found[i].shape() == xs[i].shape(),
           "grad: a vjp gave a gradient of shape {} for x number {}, of shape {}", found[i].shape().str(), i,
           xs[i].shape().str());
  }
  return found;
}

std::vector<Tensor> tensor_gradients(const Variable& y, const std::vector<Variable>& xs, const Tensor& seed,
                                     bool keep) {
  std::vector<Tensor> found = gradients(y, xs, seed, keep);
  for (Tensor& g : found) {  // it may be a view with stride 0, the seed, or another x's gradient
    if (!g.is_contiguous() || g.is_shared()) g = g.clone();
  }
  return found;
}

}  // namespace

std::vector<Tensor> grad(const Variable& y, const std::vector<Variable>& xs, const Tensor& seed) {
  return tensor_gradients(y, xs, seed, false);
}

std::vector<Tensor> grad(const Variable& y, const std::vector<Variable>& xs, RetainGraph,
                         const Tensor& seed) {
  return tensor_gradients(y, xs, seed, true);
}

std::vector<Variable> grad(const Variable& y, const std::vector<Variable>& xs, CreateGraph,
                           const Variable& seed) {
  return gradients(y, xs, seed, true);
}

}  // namespace damc
