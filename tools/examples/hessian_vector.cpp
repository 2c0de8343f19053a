/// The largest curvature of an energy network, by power iteration: each step needs the Hessian's product with a vector,
/// which is the gradient of a gradient, and never the Hessian.

#include <fmt/format.h>

#include <cmath>

#include "autograd/grad.h"
#include "nn/layers.h"

using namespace damc;

namespace {

/// H v at z: d/dz (dE/dz . v)
Tensor hessian_vector(const Layer& energy, const Tensor& z, const Tensor& v) {
  const Variable x(z, true);
  const Variable slope = grad(sum(energy.forward(x)), {x}, create_graph)[0];
  return grad(sum(slope * v), {x})[0];
}

/// The same from two gradients, to compare.
Tensor difference(const Layer& energy, const Tensor& z, const Tensor& v, double h) {
  const auto slope = [&](const Tensor& at) {
    const Variable x(at, true);
    return grad(sum(energy.forward(x)), {x})[0];
  };
  return (slope(z + h * v) - slope(z - h * v)) / (2.0 * h);
}

double norm(const Tensor& t) { return std::sqrt(sum_squares(t).item()); }

}  // namespace

int main() {
  Generator random(1);
  Init init(random, Dtype::f64);
  Sequential energy;
  energy.emplace<Linear>(100, 64, init);
  energy.push_back(silu_layer());
  energy.emplace<Linear>(64, 64, init);
  energy.push_back(tanh_layer());
  energy.emplace<Linear>(64, 1, init);

  const Tensor z = random.normal({1, 100}, Dtype::f64);
  Tensor v = random.normal({1, 100}, Dtype::f64);
  v = v / norm(v);
  const Tensor Hv = hessian_vector(energy, z, v);
  fmt::print("H v: {:.6f} long, off the difference of gradients by {:.0e}\n", norm(Hv),
             norm(Hv - difference(energy, z, v, 1e-4)) / norm(Hv));
  double curvature = 0.0;
  for (int i = 0; i < 200; ++i) {
    const Tensor w = hessian_vector(energy, z, v);
    curvature = sum(v * w).item();
    v = w / norm(w);
  }
  fmt::print("largest curvature: {:.6f}\n", curvature);
}
