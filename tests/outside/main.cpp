/// A line through four points: a program of another project's, on the engine.
#include <cstdio>

#include "autograd/grad.h"
#include "autograd/ops.h"
#include "nn/layers.h"
#include "optim/sgd.h"
#include "tensor/random.h"

int main() {
  using namespace damc;
  Generator random(1);
  Init init(random);
  const Linear line(1, 1, init);
  const Variable x(Tensor::from(std::vector<float>{1, 2, 3, 4}, {4, 1}));
  const Variable y(Tensor::from(std::vector<float>{3, 5, 7, 9}, {4, 1}));
  Sgd sgd(line);
  const auto error = [&] { return mean(square(line.forward(x) - y)); };
  for (int i = 0; i < 1000; ++i) sgd.step(grad(error(), line.parameters()), 0.1);
  std::printf("error %.6f\n", error().value().item());
}
