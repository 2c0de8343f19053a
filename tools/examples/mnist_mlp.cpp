/// A multilayer perceptron learns MNIST: over 97 % of the test digits right, in less than a minute on two cores.
///   mnist_mlp [FOLDER [EPOCHS]]

#include <fmt/format.h>

#include <cstdlib>

#include "autograd/grad.h"
#include "data/batches.h"
#include "data/dataset.h"
#include "nn/layers.h"
#include "optim/adam.h"

using namespace damc;

namespace {

/// Minibatches of digits as tensors.
struct Digits {
  const Images& images;
  std::int64_t size;
  Batches batches{images, size, 1, false};

  Tensor pixels(std::int64_t k) {
    std::vector<float> x(static_cast<std::size_t>(size * images.image_size()));
    batches.fill(k, x);
    return Tensor::from(x, {size, 28, 28, 1});
  }
  Tensor labels(std::int64_t k) {
    std::vector<float> y;
    for (const std::int64_t i : batches.indices(k))
      y.push_back(static_cast<float>(images.labels[static_cast<std::size_t>(i)]));
    return Tensor::from(y, {size});
  }
};

double accuracy(const Layer& net, const Images& images) {
  Digits digits{images, 500};
  double right = 0.0;
  for (std::int64_t k = 0; k < images.n / digits.size; ++k) {
    right += sum(eq(argmax(net.forward(digits.pixels(k)).value(), 1), digits.labels(k))).item();
  }
  return right / static_cast<double>(images.n);
}

}  // namespace

int main(int argc, char** argv) {
  const Split mnist = load_dataset("mnist", argc > 1 ? argv[1] : "data/mnist");
  const double epochs = argc > 2 ? std::atof(argv[2]) : 12.0;

  Generator random(1);
  Init init(random);
  Sequential net;
  net.emplace<Flatten>();
  net.emplace<Linear>(784, 256, init);
  net.push_back(relu_layer());
  net.emplace<Linear>(256, 10, init);

  Digits digits{mnist.train, 64};
  Adam adam(net, {});
  const auto steps = static_cast<std::int64_t>(epochs * static_cast<double>(mnist.train.n / digits.size));
  for (std::int64_t k = 0; k < steps; ++k) {
    const Variable loss = cross_entropy(net.forward(digits.pixels(k)), digits.labels(k));
    adam.step(grad(loss, net.parameters()), {}, 1e-3);
    if (k % 937 == 0) fmt::print("step {:5}  loss {:.4f}\n", k, loss.value().item());
  }
  fmt::print("{:.2f} % of {} test digits\n", 100.0 * accuracy(net, mnist.test), mnist.test.n);
}
