/// Layers and modules: names and shapes of parameters, fused activations, state dicts in PyTorch's layout,
/// initial values, embeddings.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "autograd/grad.h"
#include "nn/layers.h"
#include "tensor/error.h"
#include "tests/messages.h"

using namespace damc;

namespace {

/// conv, norm, activation, conv, activation, and a nested head; every kind of layer with parameters.
struct Net {
  Generator random;
  Init init;
  Sequential layers;

  explicit Net(std::uint64_t seed, std::int64_t width = 4) : random(seed), init(random) {
    layers.emplace<Conv2d>(3, width, 4, ConvOptions{2, 1}, init);
    layers.emplace<InstanceNorm2d>(width, init);
    layers.push_back(leaky_relu_layer(0.2));
    layers.emplace<ConvTranspose2d>(width, 2, 3, ConvOptions{}, init);
    layers.push_back(tanh_layer());
    auto inner = std::make_unique<Sequential>();
    inner->emplace<Conv2d>(2, 5, 1, ConvOptions{}, init);
    inner->push_back(silu_layer());
    layers.push_back(std::move(inner));
  }
};

struct Parameter {
  std::string name;
  Shape shape;
  bool operator==(const Parameter& other) const = default;
};

std::vector<Parameter> list(const Module& module, const std::string& prefix = "") {
  std::vector<Parameter> found;
  module.visit(prefix, [&](const std::string& name, const Variable& v) {
    found.push_back({name, v.shape()});
  });
  return found;
}

std::vector<double> values(const Tensor& t) { return t.to_vector<double>(); }
std::vector<double> values(const Variable& v) { return values(v.value()); }

std::vector<double> all_values(const Module& module) {
  std::vector<double> all;
  for (const Variable& parameter : module.parameters()) {
    const std::vector<double> some = values(parameter);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

/// Whether the values look drawn from U(-bound, bound): inside, reaching the ends, centred, of the right
/// variance.
void check_uniform(const Variable& v, double bound) {
  const std::vector<double> x = values(v);
  const double n = static_cast<double>(x.size());
  double largest = 0.0, mean = 0.0, square = 0.0;
  for (const double value : x) {
    largest = std::max(largest, std::abs(value));
    mean += value / n;
    square += value * value / n;
  }
  CHECK(v.requires_grad());
  CHECK(largest <= bound * (1.0 + 1e-6));
  CHECK(largest > bound * (1.0 - 10.0 / n));               // fails once in e^10 seeds
  CHECK(std::abs(mean) < 4.0 * bound / std::sqrt(3 * n));  // four standard deviations
  // The square of U(-1, 1) has variance 4/45.
  CHECK(std::abs(square - bound * bound / 3.0) < 4.0 * bound * bound * std::sqrt(4.0 / 45.0 / n));
}

}  // namespace

TEST_CASE("a Sequential names parameters by position and keeps filters channels-last") {
  const Net net(1);
  const std::vector<Parameter> expected{{"net.0.weight", {4, 4, 4, 3}},
                                        {"net.0.bias", {4}},
                                        {"net.1.weight", {4}},
                                        {"net.1.bias", {4}},
                                        {"net.3.weight", {4, 3, 3, 2}},
                                        {"net.3.bias", {2}},
                                        {"net.5.0.weight", {5, 1, 1, 2}},
                                        {"net.5.0.bias", {5}}};
  CHECK(list(net.layers, "net.") == expected);
  CHECK(net.layers.parameters().size() == expected.size());
  CHECK(net.layers.parameter_count() == 192 + 4 + 4 + 4 + 72 + 2 + 10 + 5);
  for (const Variable& parameter : net.layers.parameters()) CHECK(parameter.requires_grad());
}

TEST_CASE("a Linear layer") {
  Generator random(1);
  Init init(random);
  const Linear with(3, 2, init), without(3, 2, init, false);
  CHECK(list(with) == std::vector<Parameter>{{"weight", {2, 3}}, {"bias", {2}}});
  CHECK(list(without) == std::vector<Parameter>{{"weight", {2, 3}}});

  const Variable x = Tensor::from(std::vector<float>{1, 2, 3, -1, 0, 1}, {2, 3});
  const std::vector<double> w = values(with.weight), b = values(with.bias), y = values(with.forward(x));
  for (std::size_t row = 0; row < 2; ++row) {
    for (std::size_t out = 0; out < 2; ++out) {
      const double* v = &w[3 * out];
      const double sum = row == 0 ? v[0] + 2 * v[1] + 3 * v[2] : v[2] - v[0];
      CHECK(y[2 * row + out] == doctest::Approx(sum + b[out]).epsilon(1e-6));
    }
  }
}

TEST_CASE("a fused activation equals the activation as a layer of its own") {
  Generator random(2);
  Init init(random, Dtype::f64);
  std::vector<std::pair<std::unique_ptr<FusableLayer>, Tensor>> layers;
  layers.emplace_back(std::make_unique<Linear>(6, 5, init), random.normal({4, 6}, Dtype::f64));
  layers.emplace_back(std::make_unique<Conv2d>(3, 4, 3, ConvOptions{1, 1}, init),
                      random.normal({2, 5, 5, 3}, Dtype::f64));
  layers.emplace_back(std::make_unique<ConvTranspose2d>(3, 4, 4, ConvOptions{2, 1}, init),
                      random.normal({2, 3, 3, 3}, Dtype::f64));
  layers.emplace_back(std::make_unique<InstanceNorm2d>(3, init), random.normal({2, 4, 4, 3}, Dtype::f64));

  for (const Unary& function : {Unary{UnaryOp::leaky_relu, 0.2}, Unary{UnaryOp::tanh}}) {
    for (auto& [layer, input] : layers) {
      const std::string shape = input.shape().str();
      CAPTURE(shape);
      REQUIRE(fuses(function));
      const Variable x(input, true);
      const Variable fused = layer->forward_with(x, function);
      const Variable apart = Activation(function).forward(layer->forward(x));
      CHECK(values(fused) == values(apart));
      CHECK(values(fused) != values(layer->forward(x)));

      std::vector<Variable> xs = layer->parameters();
      xs.push_back(x);
      const Tensor seed = random.normal(fused.shape(), Dtype::f64);
      const std::vector<Tensor> a = grad(fused, xs, seed), b = grad(apart, xs, seed);
      for (std::size_t i = 0; i < xs.size(); ++i) CHECK(values(a[i]) == values(b[i]));
    }
  }
}

TEST_CASE("a Sequential fuses where it can and gives what its layers give one after the other") {
  Net net(3);
  const Variable x = net.random.normal({2, 8, 8, 3});
  const std::vector<Variable> p = net.layers.parameters();
  Variable y = conv2d(x, p[0], p[1], {2, 1});
  y = leaky_relu(instance_norm(y, p[2], p[3]), 0.2);
  y = tanh(conv_transpose2d(y, p[4], p[5], {1, 0}));
  y = silu(conv2d(y, p[6], p[7], {1, 0}));
  const Variable whole = net.layers.forward(x);
  CHECK(whole.shape() == Shape{2, 6, 6, 5});
  CHECK(values(whole) == values(y));
  CHECK_FALSE(fuses({UnaryOp::silu}));
  Sequential falling;  // whose slope its value does not tell
  const auto& layer = falling.emplace<Linear>(3, 2, net.init);
  falling.push_back(leaky_relu_layer(-0.5));
  const Variable rows(net.random.normal({4, 3}), true);
  CHECK(values(grad(sum(falling.forward(rows)), {rows})[0]) ==
        values(grad(sum(leaky_relu(layer.forward(rows), -0.5)), {rows})[0]));
  CHECK_THROWS_AS(Conv2d(3, 4, 4, {2, 1}, net.init).forward_with(x, {UnaryOp::silu}), Error);
}

TEST_CASE("oblong convolutions and poolings as layers, as Inception has them") {
  Generator random(6);
  Init init(random);
  Sequential layers;
  layers.emplace<Conv2d>(3, 4, Pair(1, 7), ConvOptions{1, {0, 3}}, init);
  layers.emplace<Conv2d>(4, 5, Pair(7, 1), ConvOptions{1, {3, 0}}, init);
  layers.emplace<MaxPool2d>(PoolOptions{.kernel = 3, .stride = 2});
  layers.emplace<AvgPool2d>(PoolOptions{.kernel = 3, .stride = 1, .padding = 1, .count_include_pad = false});
  const Tensor x = random.normal({2, 9, 11, 3});
  const Variable y = layers.forward(x);
  CHECK(y.shape() == Shape{2, 4, 5, 5});
  const std::vector<Variable> p = layers.parameters();
  const Variable z = conv2d(conv2d(x, p[0], p[1], {1, {0, 3}}), p[2], p[3], {1, {3, 0}});
  CHECK(values(y) ==
        values(avg_pool2d(max_pool2d(z, {.kernel = 3, .stride = 2}),
                          {.kernel = 3, .stride = 1, .padding = 1, .count_include_pad = false})));
  CHECK(layers.state_dict().at("0.weight").shape() == Shape{4, 3, 1, 7});
}

TEST_CASE("a group's filters see its channels alone, and are drawn for as many") {
  Generator random(6);
  Init init(random);
  Sequential layers;
  layers.emplace<Conv2d>(8, 64, 3, ConvOptions{.padding = 2, .dilation = 2, .groups = 4}, init);
  layers.emplace<ConvTranspose2d>(64, 8, Pair(2, 3), ConvOptions{.stride = 2, .groups = 8}, init);
  CHECK(layers.forward(random.normal({2, 5, 4, 8})).shape() == Shape{2, 10, 9, 8});
  const StateDict state = layers.state_dict();
  CHECK(state.at("0.weight").shape() == Shape{64, 2, 3, 3});
  CHECK(state.at("1.weight").shape() == Shape{64, 1, 2, 3});
  for (const auto& [name, fan_in] :
       {std::pair{"0.weight", 2 * 9}, {"0.bias", 2 * 9}, {"1.weight", 6}, {"1.bias", 6}}) {
    double most = 0.0;
    for (const double value : values(state.at(name))) most = std::max(most, std::abs(value));
    CHECK(most <= 1.0 / std::sqrt(fan_in));
    CHECK(most > 0.7 / std::sqrt(fan_in));
  }
  CHECK_THROWS_WITH_AS(Conv2d(6, 4, 3, {.groups = 3}, init),
                       "Conv2d: 6 channels in and 4 out do not divide into 3 groups", Error);
  CHECK_THROWS_WITH_AS(ConvTranspose2d(6, 4, 3, {.groups = 0}, init),
                       "ConvTranspose2d: 6 channels in and 4 out do not divide into 0 groups", Error);
}

TEST_CASE("state dicts hold PyTorch's layout, as copies") {
  Net net(4);
  const StateDict state = net.layers.state_dict("net.");
  REQUIRE(state.size() == 8);
  CHECK(state.at("net.0.weight").shape() == Shape{4, 3, 4, 4});  // Cout,Cin,kH,kW
  CHECK(state.at("net.3.weight").shape() == Shape{4, 2, 3, 3});  // Cin,Cout,kH,kW
  CHECK(state.at("net.1.weight").shape() == Shape{4});

  const Variable weight = net.layers.parameters()[0];
  const std::vector<double> ours = values(weight), theirs = values(state.at("net.0.weight"));
  for (std::size_t o = 0; o < 4; ++o) {
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t pixel = 0; pixel < 16; ++pixel) {
        REQUIRE(theirs[(o * 3 + i) * 16 + pixel] == ours[(o * 16 + pixel) * 3 + i]);
      }
    }
  }
  weight.value().fill(0.0);
  CHECK(values(state.at("net.0.weight")) == theirs);
}

TEST_CASE("a state dict carries a network over exactly") {
  Net from(5), to(6);
  REQUIRE(all_values(from.layers) != all_values(to.layers));
  const std::vector<Variable> before = to.layers.parameters();
  to.layers.load_state_dict(from.layers.state_dict("a."), "a.");
  CHECK(all_values(from.layers) == all_values(to.layers));
  CHECK(values(before[0]) ==
        values(from.layers.parameters()[0]));  // the parameters are the same variables as before

  StateDict doubles = Net(7).layers.state_dict();
  for (auto& [name, tensor] : doubles) tensor = tensor.to(Dtype::f64);
  to.layers.load_state_dict(doubles);
  CHECK(to.layers.parameters()[0].dtype() == Dtype::f32);
  CHECK(all_values(to.layers) == all_values(Net(7).layers));
}

TEST_CASE("what does not fit is named") {
  Net net(8);
  SUBCASE("a missing weight") {
    StateDict state = net.layers.state_dict("g.");
    state.erase("g.3.bias");
    CHECK(contains(error_of<UserError>([&] { net.layers.load_state_dict(state, "g."); }), "'g.3.bias'"));
  }
  SUBCASE("another prefix") {
    CHECK(
        contains(error_of<UserError>([&] { net.layers.load_state_dict(net.layers.state_dict("g."), "e."); }),
                 "'e.0.weight'"));
  }
  SUBCASE("another width: both shapes, in PyTorch's layout") {
    const StateDict wide = Net(8, 6).layers.state_dict();
    const std::string message = error_of<UserError>([&] { net.layers.load_state_dict(wide); });
    CHECK(contains(message, "'0.weight'"));
    CHECK(contains(message, "[6, 3, 4, 4]"));
    CHECK(contains(message, "[4, 3, 4, 4]"));
  }
  SUBCASE("a copy from a module of another structure") {
    Sequential other;
    other.emplace<Linear>(2, 2, net.init);
    CHECK_THROWS_AS(net.layers.copy_from(other), Error);
    Sequential wide, narrow;
    wide.emplace<Linear>(2, 2, net.init);
    narrow.emplace<Linear>(2, 1, net.init);
    const auto before = all_values(wide);
    CHECK(contains(error_of([&] { wide.copy_from(narrow); }), "[2, 2]"));
    CHECK(all_values(wide) == before);
  }
}

TEST_CASE("copy_from copies values, not variables") {
  Net from(9), to(10);
  to.layers.copy_from(from.layers);
  CHECK(all_values(from.layers) == all_values(to.layers));
  from.layers.parameters()[0].value().fill(0.0);
  CHECK(all_values(from.layers) != all_values(to.layers));
}

TEST_CASE("layers without channels and layers that are none") {
  Generator random(1);
  Init init(random);
  CHECK(values(Linear(0, 2, init).forward(Tensor::zeros({3, 0}))) == std::vector<double>(6, 0.0));
  CHECK_THROWS_AS(BatchNorm(0, init).forward(Tensor::zeros({2, 0})), Error);
  BatchNorm norm(3, init);
  norm.bias = init.constant({2}, 0.0);
  CHECK_THROWS_AS(norm.forward(Tensor::full({4, 3}, 5.0)), Error);
  CHECK(values(norm.running_mean) == std::vector<double>(3, 0.0));  // nothing gathered of what is refused
  Sequential layers;
  CHECK_THROWS_AS(layers.push_back(nullptr), Error);
}

TEST_CASE("initial values follow PyTorch's rules") {
  Generator random(11);
  Init init(random);
  SUBCASE("Linear: fan_in = in") {
    const Linear layer(50, 400, init);
    check_uniform(layer.weight, 1.0 / std::sqrt(50.0));
    check_uniform(layer.bias, 1.0 / std::sqrt(50.0));
  }
  SUBCASE("Conv2d: fan_in = in k k") {
    const Conv2d layer(10, 300, 4, {2, 1}, init);
    check_uniform(layer.weight, 1.0 / std::sqrt(160.0));
    check_uniform(layer.bias, 1.0 / std::sqrt(160.0));
  }
  SUBCASE("ConvTranspose2d: fan_in = out k k") {
    const ConvTranspose2d layer(20, 300, 4, {2, 1}, init);
    check_uniform(layer.weight, 1.0 / std::sqrt(4800.0));
    check_uniform(layer.bias, 1.0 / std::sqrt(4800.0));
  }
  SUBCASE("InstanceNorm2d: the identity") {
    const InstanceNorm2d layer(3, init);
    CHECK(values(layer.weight) == std::vector<double>(3, 1.0));
    CHECK(values(layer.bias) == std::vector<double>(3, 0.0));
  }
  SUBCASE("normal") {
    const std::vector<double> x = values(init.normal({100, 100}));
    double mean = 0.0, square = 0.0;
    for (const double value : x) {
      mean += value / 1e4;
      square += value * value / 1e4;
    }
    CHECK(std::abs(mean) < 0.04);
    CHECK(std::abs(square - 1.0) < 4.0 * std::sqrt(2.0 / 1e4));
  }
}

TEST_CASE("the seed decides the initial values") {
  CHECK(all_values(Net(12).layers) == all_values(Net(12).layers));
  CHECK(all_values(Net(12).layers) != all_values(Net(13).layers));
  // No two parameters share numbers.
  std::vector<double> all = all_values(Net(12).layers);
  std::erase_if(all, [](double value) { return value == 0.0 || value == 1.0; });  // those of the norm
  std::sort(all.begin(), all.end());
  CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
}

TEST_CASE("a convolution without bias has one parameter, under PyTorch's name") {
  Generator random(3);
  Init init(random);
  const Conv2d down(4, 6, 3, {.stride = 2, .padding = 1}, init, false);
  const ConvTranspose2d up(6, 4, 3, {.stride = 2, .padding = 1, .output_padding = 1}, init, false);
  for (const Module* layer : std::initializer_list<const Module*>{&down, &up}) {
    const StateDict state = layer->state_dict("net.");
    REQUIRE(state.size() == 1);
    CHECK(state.begin()->first == "net.weight");
    CHECK(layer->parameter_count() == 6 * 4 * 3 * 3);
  }
  const Variable x = random.normal({2, 8, 6, 4});
  CHECK(up.forward(down.forward(x)).shape() == x.shape());
}

TEST_CASE("sinusoidal_embedding is [sin, cos] of t times falling frequencies") {
  constexpr std::int64_t size = 8, half = size / 2;
  const std::vector<double> t{0.0, 1.0, 37.5};
  const Tensor embedded = sinusoidal_embedding(Tensor::from(t, {3}), sinusoidal_frequencies(size));
  REQUIRE(embedded.shape() == Shape{3, size});
  const std::vector<double> e = values(embedded);
  for (std::int64_t n = 0; n < 3; ++n) {
    for (std::int64_t i = 0; i < half; ++i) {
      // From 1 down to 1/10000 in a geometric sequence.
      const double angle =
          t[static_cast<std::size_t>(n)] / std::pow(10000.0, static_cast<double>(i) / (half - 1));
      CHECK(e[static_cast<std::size_t>(n * size + i)] == doctest::Approx(std::sin(angle)).epsilon(1e-12));
      CHECK(e[static_cast<std::size_t>(n * size + half + i)] ==
            doctest::Approx(std::cos(angle)).epsilon(1e-12));
    }
  }
  CHECK(sinusoidal_embedding(Tensor::zeros({2}), sinusoidal_frequencies(4)).dtype() == Dtype::f32);
  CHECK_THROWS_AS(sinusoidal_frequencies(7), Error);
  CHECK_THROWS_AS(sinusoidal_embedding(Tensor::zeros({2, 1}), sinusoidal_frequencies(8)), Error);
}

TEST_CASE("fourier_features are [sin 2 pi z B, cos 2 pi z B, z]") {
  const Tensor z = Tensor::from(std::vector<double>{0.25, 0.5}, {1, 2});
  const Tensor b = Tensor::from(std::vector<double>{1.0, 0.5}, {2, 1});  // z B = 0.5
  const std::vector<double> y = values(fourier_features(z, b));
  const double angle = std::numbers::pi;
  REQUIRE(y.size() == 4);
  CHECK(y[0] == doctest::Approx(std::sin(angle)));
  CHECK(y[1] == doctest::Approx(std::cos(angle)));
  CHECK(y[2] == 0.25);
  CHECK(y[3] == 0.5);
}
