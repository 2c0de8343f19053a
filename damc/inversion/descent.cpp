#include "damc/inversion/descent.h"

#include <cmath>

#include "autograd/grad.h"
#include "optim/adam.h"
#include "tensor/ops.h"

namespace damc {
namespace {

/// What Adam moves.
class Latents final : public Module {
 public:
  explicit Latents(const Tensor& start) : w(start.clone(), true) {}
  void visit(const std::string& prefix, const Visitor& visitor) const override { visitor(prefix + "w", w); }

  const Variable w;
};

/// 1 for each row whose number is finite, else 0; [N, 1].
Tensor finite_rows(const Tensor& numbers) {
  return eq(sub(numbers, numbers), Tensor::zeros(numbers.shape(), numbers.dtype(), numbers.device()))
      .reshape({-1, 1});
}

std::int64_t zeros_in(const Tensor& mask) { return mask.numel() - std::llround(sum(mask).item()); }

Tensor chosen(const Tensor& mask, const Tensor& a, const Tensor& b) {
  return where(mask.expand(a.shape()), a, b).value();
}

}  // namespace

Descent descend(const InversionObjective& objective, const Tensor& w_plus, const Tensor& x,
                const DescentOptions& options, Generator& random, const DescentObserver& observer) {
  const InversionObjective::Observed observed = objective.observe(x);
  Latents latents(w_plus);
  const Tensor& w = latents.w.value();
  Descent result{w.clone(), 0, 0};
  Adam adam(latents, {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8});
  for (std::int64_t step = 0;; ++step) {
    ObjectiveTerms terms = objective.terms(latents.w, observed);
    Variable total = objective.total(terms);
    Tensor finite = finite_rows(total.value());
    if (step == 0 && zeros_in(finite) > 0) {
      result.replaced = zeros_in(finite);
      w.copy_from(chosen(finite, w, objective.generator().random_latents(w.size(0), random)));
      terms = objective.terms(latents.w, observed);
      total = objective.total(terms);
      finite = finite_rows(total.value());
    }
    result.w_plus = chosen(finite, w, result.w_plus);
    result.returned = zeros_in(finite);
    if (observer) observer(step, terms);
    if (step == options.steps) return result;
    adam.step(grad(sum(total), {latents.w}), {}, options.rate);
  }
}

}  // namespace damc
