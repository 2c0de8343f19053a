/// Layers that train otherwise than they are used, and plain gradient descent.
#include <doctest/doctest.h>

#include <cmath>

#include "autograd/checks/op_cases.h"
#include "autograd/grad.h"
#include "nn/layers.h"
#include "optim/adam.h"
#include "optim/sgd.h"
#include "tensor/error.h"
#include "tests/messages.h"

using namespace damc;

namespace {

using Doubles = std::vector<double>;

Doubles values(const Tensor& t) { return t.to_vector<double>(); }

}  // namespace

TEST_CASE("batch_norm trains on the batch, gathers its statistics and takes them afterwards") {
  Generator random(2);
  Init init(random, Dtype::f64);
  BatchNorm layer(2, init);
  const Tensor x = Tensor::from(Doubles{1, 10, 2, 20, 3, 60}, {3, 2});  // means 2, 30; variances 2/3, 1400/3
  const Doubles y = values(layer.forward(x).value());
  CHECK(y[0] == doctest::Approx(-1.0 / std::sqrt(2.0 / 3.0 + 1e-5)));
  CHECK(y[5] == doctest::Approx(30.0 / std::sqrt(1400.0 / 3.0 + 1e-5)));
  CHECK(values(layer.running_mean.value())[1] == doctest::Approx(0.1 * 30.0));
  CHECK(values(layer.running_var.value())[0] ==
        doctest::Approx(0.9 + 0.1 * 1.0));  // of three the unbiased one
  CHECK(values(layer.running_var.value())[1] == doctest::Approx(0.9 + 0.1 * 700.0));

  layer.eval();
  const Doubles used = values(layer.forward(x).value());
  CHECK(used[1] == doctest::Approx((10.0 - 3.0) / std::sqrt(70.9 + 1e-5)));
  CHECK(values(layer.running_mean.value())[1] == doctest::Approx(3.0));  // no more gathered
  layer.train();
  CHECK(values(layer.forward(x).value()) == y);
  CHECK(contains(error_of([&] { layer.forward(x.narrow(0, 0, 1)); }), "batch_norm: x is [1, 2]"));
}

TEST_CASE("buffers are part of the state, and no optimiser's business") {
  Generator random(2);
  Init init(random);
  Sequential net, other;
  for (Sequential* s : {&net, &other}) {
    s->emplace<Conv2d>(1, 3, 3, ConvOptions{1, 1}, init);
    s->emplace<BatchNorm>(3, init);
    s->push_back(relu_layer());
    s->emplace<Dropout>(0.5, random);
  }
  CHECK(net.parameters().size() == 4);
  CHECK(net.state_dict().size() == 6);
  const Tensor x = random.normal({4, 5, 5, 1});
  net.forward(x);
  other.copy_from(net);
  CHECK(values(other.state_dict().at("1.running_mean")) == values(net.state_dict().at("1.running_mean")));
  Adam adam(net, {});
  CHECK(adam.state_dict("a.").size() == 9);  // m and v of four, and the schedule
  net.eval();
  CHECK(values(net.forward(x).value()) == values(net.forward(x).value()));
  net.train();
  CHECK(values(net.forward(x).value()) != values(net.forward(x).value()));  // dropout draws anew
}

TEST_CASE("layer_norm makes rows of mean 0 and variance 1") {
  Generator random(2);
  Init init(random);
  LayerNorm layer(50, init);
  const Tensor y = layer.forward(random.normal({3, 4, 50}) * 7.0 + 2.0).value();
  for (const double m : values(mean(y, -1))) CHECK(m == doctest::Approx(0.0).epsilon(1e-5));
  for (const double v : values(mean(square(y), -1))) CHECK(v == doctest::Approx(1.0).epsilon(1e-4));
}

TEST_CASE("an embedding looks rows up, and what is not looked up gets no gradient") {
  Generator random(2);
  Init init(random);
  Embedding layer(4, 3, init);
  const Variable y = layer.forward(Tensor::from(std::vector<float>{2, 0, 2}, {3}));
  CHECK(y.shape() == Shape{3, 3});
  CHECK(values(y.value().narrow(0, 1, 1)) == values(layer.weight.value().narrow(0, 0, 1)));
  CHECK(values(sum(grad(sum(y), {layer.weight})[0], 1)) == Doubles{3, 0, 6, 0});
}

TEST_CASE("Sgd with momentum and weight decay follows PyTorch") {
  Generator random(2);
  Init init(random, Dtype::f64);
  Linear layer(1, 1, init, false);
  layer.weight.value().fill(2.0);
  Sgd sgd(layer, {.momentum = 0.9, .weight_decay = 0.1});
  double p = 2.0, v = 0.0;
  for (const double g : {1.0, -0.5, 0.25}) {
    sgd.step({Tensor::full({1, 1}, g, Dtype::f64)}, 0.1);
    v = 0.9 * v + g + 0.1 * p;
    p -= 0.1 * v;
    CHECK(layer.weight.value().item() == doctest::Approx(p).epsilon(1e-14));
  }
  Sgd plain(layer);
  plain.step({Tensor::full({1, 1}, 3.0, Dtype::f64)}, 0.1);
  CHECK(layer.weight.value().item() == doctest::Approx(p - 0.3).epsilon(1e-14));
  CHECK(contains(error_of([&] { sgd.step({}, 0.1); }), "sgd: 0 gradients for 1 parameters"));
  CHECK(contains(error_of([&] { sgd.step({Tensor::zeros({2}, Dtype::f64)}, 0.1); }), "sgd: gradient [2]"));
}
