/// An operation of your own, mish(x) = x tanh(softplus(x)), with its gradient: right, checked to second order; and wrong,
/// as the check tells it.

#include <fmt/format.h>

#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "tensor/random.h"

using namespace damc;

namespace {

/// One closure per input. It takes `const auto& g`, so that it computes with tensors, and with variables where a
/// derivative of the derivative is wanted; Saved keeps an operand for both.
Variable mish(const Variable& x, double mistake = 1.0) {
  const Tensor t = tanh(softplus(x.value()));
  return record("mish", x.value() * t, {{x, [x = Saved(x), mistake](const auto& g) {
                                           const auto& v = x(g);
                                           const auto s = tanh(softplus(v));
                                           // d/dx x t = t + x (1 - t^2) sigmoid(x)
                                           return g * (s + mistake * v * (1.0 - square(s)) * sigmoid(v));
                                         }}});
}

void report(const char* what, const GradcheckResult& result) {
  fmt::print("{}: {}\n", what,
             result.ok ? fmt::format("right, within {:.0e}", result.worst) : result.message);
}

}  // namespace

int main() {
  const std::vector<Tensor> inputs{Generator(1).normal({3, 4}, Dtype::f64)};
  const auto right = [](const std::vector<Variable>& v) { return mish(v[0]); };
  report("mish", gradcheck(right, inputs));
  report("its second derivative", gradgradcheck(right, inputs));
  report("with a mistake",
         gradcheck([](const std::vector<Variable>& v) { return mish(v[0], 1.01); }, inputs));
}
