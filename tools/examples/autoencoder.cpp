/// A convolutional autoencoder: digits of 28 x 28 go through 16 numbers and come back, some of them into a picture (what went
/// in above what came back).
///   autoencoder [FOLDER [STEPS [PNG]]]

#include <fmt/format.h>

#include <cstdlib>

#include "autograd/grad.h"
#include "data/batches.h"
#include "data/dataset.h"
#include "data/image_io.h"
#include "nn/layers.h"
#include "optim/adam.h"

using namespace damc;

namespace {

/// A layer made of others: forward says how, visit names their parameters.
struct Autoencoder final : Layer {
  Sequential encoder, decoder;

  explicit Autoencoder(Init& init) {
    const ConvOptions half{.stride = 2, .padding = 1};
    encoder.emplace<Conv2d>(1, 16, 4, half, init);  // 14 x 14
    encoder.push_back(relu_layer());
    encoder.emplace<Conv2d>(16, 32, 4, half, init);  // 7 x 7
    encoder.push_back(relu_layer());
    encoder.emplace<Conv2d>(32, 16, 7, ConvOptions{}, init);  // 1 x 1
    decoder.emplace<ConvTranspose2d>(16, 32, 7, ConvOptions{}, init);
    decoder.push_back(relu_layer());
    decoder.emplace<ConvTranspose2d>(32, 16, 4, half, init);
    decoder.push_back(relu_layer());
    decoder.emplace<ConvTranspose2d>(16, 1, 4, half, init);
    decoder.push_back(tanh_layer());
  }
  Variable forward(const Variable& x) const override { return decoder.forward(encoder.forward(x)); }
  void visit(const std::string& prefix, const Visitor& visitor) const override {
    encoder.visit(prefix + "encoder.", visitor);
    decoder.visit(prefix + "decoder.", visitor);
  }
};

/// Minibatch k of images as pixels in [-1, 1].
Tensor pixels(Batches& batches, std::int64_t k, std::int64_t size) {
  std::vector<float> x(static_cast<std::size_t>(size * 28 * 28));
  batches.fill(k, x);
  return Tensor::from(x, {size, 28, 28, 1});
}

void save_picture(const char* file, const Tensor& above, const Tensor& below) {
  const Tensor both = cat(std::vector<Tensor>{above, below}, 0);
  const Images picture = grid(both.to_vector<float>(), both.size(0), 28, 28, 1, above.size(0));
  write_png(file, picture.image(0), picture.height, picture.width, picture.channels);
}

}  // namespace

int main(int argc, char** argv) {
  const Split mnist = load_dataset("mnist", argc > 1 ? argv[1] : "data/mnist");
  const int steps = argc > 2 ? std::atoi(argv[2]) : 1500;

  Generator random(1);
  Init init(random);
  Autoencoder net(init);
  Adam adam(net, {});
  Batches train(mnist.train, 64, 1, false), test(mnist.test, 500, 1, false);
  for (int k = 0; k < steps; ++k) {
    const Tensor x = pixels(train, k, 64);
    const Variable loss = mean(square(net.forward(x) - x));
    adam.step(grad(loss, net.parameters()), {}, 1e-3);
    if (k % 250 == 0) fmt::print("step {:4}  loss {:.4f}\n", k, loss.value().item());
  }

  const Tensor digits = pixels(test, 0, 500), back = net.forward(digits).value();
  fmt::print("mean squared error of {} test digits: {:.4f} of {:.4f}\n", digits.size(0),
             mean(square(back - digits)).item(), mean(square(digits - mean(digits))).item());
  if (argc > 3) save_picture(argv[3], digits.narrow(0, 0, 10), back.narrow(0, 0, 10));
}
