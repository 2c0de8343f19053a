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
  bool wanted = false;          // on a path to one of the xs
  std::vector<std::size_t> xs;  // that it is
  std::int64_t to_come = 0;     // edges that have still to add to its gradient
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
    visits.push_back({std::move(node), false, {}, 0, {}});
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

/// Of two contributions to a gradient; bf16 is added in f32.
template <class G>
G total(const G& a, const G& b) {
  const Dtype wide = computed(a.dtype());
  return cast(add(cast(a, wide), cast(b, wide)), a.dtype());
}

/// Marks what lies between y and the xs, and counts what is added to each gradient. Returns where nodes are among the visits.
template <class G>
std::unordered_map<const Node*, Visit<G>*> plan(std::vector<Visit<G>>& visits,
                                                const std::vector<Variable>& xs) {
  std::unordered_map<const Node*, Visit<G>*> visit_of;
  for (Visit<G>& visit : visits) visit_of[visit.node.get()] = &visit;
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (const auto it = visit_of.find(xs[i].node().get()); it != visit_of.end()) it->second->xs.push_back(i);
  }
  for (auto visit = visits.rbegin(); visit != visits.rend(); ++visit) {
    visit->wanted = !visit->xs.empty();
    for (const Node::Edge& edge : visit->node->edges) visit->wanted |= visit_of[edge.input.get()]->wanted;
    if (!visit->wanted) continue;
    for (const Node::Edge& edge : visit->node->edges) ++visit_of[edge.input.get()]->to_come;
  }
  return visit_of;
}

/// Runs the edges between y and the xs, and consumes the graph unless it is kept. `ready`(i, gradient of xs[i]) is called as
/// soon as nothing more is added to it; not for an x that y does not depend on.
template <class G, class Ready>
void walk(const Variable& y, const std::vector<Variable>& xs, const G& seed, bool keep, const Ready& ready) {
  std::vector<Visit<G>> visits = collect<G>(y.node());
  const auto visit_of = plan(visits, xs);
  const auto hand_over = [&](Visit<G>& visit) {
    if (visit.to_come > 0 || !visit.gradient.defined()) return;
    const G gradient = visit.node->edges.empty() ? std::move(visit.gradient) : visit.gradient;
    for (const std::size_t i : visit.xs) ready(i, gradient);
  };
  visits.front().gradient = initial_gradient(y, seed);
  hand_over(visits.front());
  for (Visit<G>& visit : visits) {
    Node& node = *visit.node;
    if (visit.wanted) {
      for (Node::Edge& edge : node.edges) {
        Visit<G>& input = *visit_of.at(edge.input.get());
        if (input.wanted && visit.gradient.defined()) {
          G g = edge.vjp(visit.gradient, visit.node);
          input.gradient = input.gradient.defined() ? total(input.gradient, g) : std::move(g);
        }
        --input.to_come;
        hand_over(input);
      }
    }
    if (!keep) {
      node.consumed = !node.edges.empty();
      node.edges.clear();
    }
    visit.gradient = {};
  }
}

void check_graph(const Variable& y, const std::vector<Variable>& xs) {
  for (const Variable& x : xs)
    ENSURE(x.requires_grad(), "grad: an x of shape {} takes no gradient", x.shape().str());
  ENSURE(y.requires_grad(),
         "grad: y of shape {} has no graph: it is a constant, detached, or computed from such only",
         y.shape().str());
}

/// G is Tensor or Variable.
template <class G>
void check_gradient(const G& gradient, const std::vector<Variable>& xs, std::size_t i) {
  ENSURE(gradient.shape() == xs[i].shape() && gradient.dtype() == xs[i].dtype(),
         "grad: a vjp gave a gradient of shape {}, {}, for x number {}, of shape {}, {}",
         gradient.shape().str(), name(gradient.dtype()), i, xs[i].shape().str(), name(xs[i].dtype()));
}

Tensor zero_gradient(const Variable& x) { return Tensor::zeros(x.shape(), x.dtype(), x.device()); }

template <class G>
std::vector<G> gradients(const Variable& y, const std::vector<Variable>& xs, const G& seed, bool keep) {
  check_graph(y, xs);
  std::vector<G> found(xs.size());
  walk(y, xs, seed, keep, [&](std::size_t i, const G& gradient) { found[i] = gradient; });
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (!found[i].defined()) found[i] = zero_gradient(xs[i]);
    check_gradient(found[i], xs, i);
  }
  return found;
}

/// With memory of its own: it may be a view with stride 0, the seed, or another x's gradient.
Tensor owned(const Tensor& gradient) {
  return gradient.is_contiguous() && !gradient.is_shared() ? gradient : gradient.clone();
}

std::vector<Tensor> tensor_gradients(const Variable& y, const std::vector<Variable>& xs, const Tensor& seed,
                                     bool keep) {
  std::vector<Tensor> found = gradients(y, xs, seed, keep);
  for (Tensor& gradient : found) gradient = owned(gradient);
  return found;
}

}  // namespace

std::vector<Tensor> grad(const Variable& y, const std::vector<Variable>& xs, const Tensor& seed) {
  return tensor_gradients(y, xs, seed, false);
}

std::vector<Tensor> grad(const Variable& y, const std::vector<Variable>& xs, RetainGraph,
                         const Tensor& seed) {
  // What vjps keep of a gradient for each other (memo.h) stays with the graph; the seed's numbers may change.
  return tensor_gradients(y, xs, seed.defined() ? seed.clone() : seed, true);
}

void grad(const Variable& y, const std::vector<Variable>& xs,
          const std::function<void(std::size_t i, const Tensor& gradient)>& ready) {
  check_graph(y, xs);
  std::vector<bool> found(xs.size(), false);
  walk(y, xs, Tensor{}, false, [&](std::size_t i, const Tensor& gradient) {
    check_gradient(gradient, xs, i);
    found[i] = true;
    ready(i, owned(gradient));
  });
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (!found[i]) ready(i, zero_gradient(xs[i]));
  }
}

std::vector<Variable> grad(const Variable& y, const std::vector<Variable>& xs, CreateGraph,
                           const Variable& seed) {
  return gradients(y, xs, seed, true);
}

}  // namespace damc
