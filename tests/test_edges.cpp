/// What lies at the edges of every operation: dimensions that do not exist, undefined tensors, infinities that are not
/// selected, long f32 sums, operands of any layout, whose memory a gradient is, and the names in messages.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "autograd/grad.h"
#include "autograd/ops.h"
#include "tensor/error.h"
#include "tensor/kernels/bodies.h"
#include "tensor/random.h"
#include "tests/grid_executor.h"
#include "tests/messages.h"
#include "tests/naive.h"

using namespace damc;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
const double no_number = std::nan("");

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

}  // namespace

TEST_CASE("a dimension that does not exist is an error that names operation, dimension and shape") {
  const Tensor t = normal({2, 3});
  const Variable x(t, true);
  for (const int dim : {-3, 2, 7, -100}) {
    const std::string words = fmt::format("dimension {} of shape [2, 3]", dim);
    CHECK(error_of([&] { sum(t, dim); }) == "sum: " + words);
    CHECK(error_of([&] { sum(x, dim); }) == "sum: " + words);
    CHECK(error_of([&] { cat(std::vector<Tensor>{t, t}, dim); }) == "cat: " + words);
    CHECK(error_of([&] { cat(std::vector<Variable>{x, x}, dim); }) == "cat: " + words);
    CHECK(error_of([&] { t.narrow(dim, 0, 1); }) == "narrow: " + words);
    CHECK(error_of([&] { narrow(x, dim, 0, 1); }) == "narrow: " + words);
    CHECK(error_of([&] { t.transpose(0, dim); }) == "transpose: " + words);
    CHECK(error_of([&] { t.transpose(dim, 0); }) == "transpose: " + words);
    CHECK(error_of([&] { static_cast<void>(t.size(dim)); }) == "size: " + words);
    CHECK(error_of([&] { static_cast<void>(x.size(dim)); }) == "size: " + words);
  }
  for (const int i : {-1, 2, 6, 9})
    CHECK(error_of([&] { static_cast<void>(t.shape()[i]); }) ==
          fmt::format("shape: no dimension {} in [2, 3]", i));
  CHECK_THROWS_AS(static_cast<void>(Shape{}.back()), Error);
  CHECK_THROWS_AS(sum(Tensor::full({}, 1.0), 0), Error);
  CHECK_THROWS_AS(t.permute({-3, 0}), Error);
  CHECK_THROWS_AS(t.narrow(0, 1, std::numeric_limits<std::int64_t>::max()), Error);

  const Tensor c = normal({2, 3});
  for (const int dim : {0, 1}) {
    const auto of = [&](int d) {
      const Variable y = sum(narrow(cat({x, x * x}, d), d, 1, 2), d);
      return grad(sum(y * y), {x})[0].to_vector<double>();
    };
    CHECK(of(dim) == of(dim - 2));
  }
}

TEST_CASE("permute counts negative dimensions from the end, as every operation does") {
  const Variable x(normal({2, 3, 4}), true);
  const Variable y = permute(x, {-1, 0, -2});
  CHECK(y.shape() == Shape{4, 2, 3});
  CHECK(y.value().to_vector<double>() == x.value().permute({2, 0, 1}).to_vector<double>());
  CHECK(grad(sum(y * y), {x})[0].to_vector<double>() == (2.0 * x.value()).to_vector<double>());
  CHECK_THROWS_AS(permute(x, {2, 0, -1}), Error);
}

TEST_CASE("sizes whose product no memory holds are an error, not a tensor without elements") {
  constexpr std::int64_t half = std::int64_t{1} << 32, most = std::int64_t{1} << 62;
  const Tensor one = Tensor::zeros({1}), none = Tensor::zeros({0});
  const std::vector<std::function<void()>> uses{
      [&] {
        Tensor::empty({half, half});
      },
      [&] { Tensor::empty({most}); },
      [&] {
        Tensor::empty({0, most, most});
      },
      [&] {
        none.reshape({-1, most, most});
      },
      [&] {
        Tensor::from(std::vector<float>{}, {half, half});
      },
      [&] {
        none.reshape({half, half});
      },
      [&] {
        sum(one.expand({half, half}));
      },
      [&] {
        upsample(Tensor::zeros({1, 1, 1, 1}), std::int64_t{1} << 40);
      },
      [&] { arange(-1); },
      [&] { arange(most); },
  };
  for (std::size_t i = 0; i < uses.size(); ++i) {
    CAPTURE(i);
    CHECK_FALSE(error_of(uses[i]).empty());
  }
  CHECK(Tensor::zeros({0, half}).numel() == 0);
}

TEST_CASE("a copy onto its own memory reads what was there; one element cannot be many") {
  const Tensor square = arange(9).reshape({3, 3}), line = arange(20);
  const std::vector<double> turned = square.transpose(0, 1).to_vector<double>();
  square.copy_from(square.transpose(0, 1));
  CHECK(square.to_vector<double>() == turned);
  const std::vector<double> before = line.narrow(0, 0, 19).to_vector<double>();
  line.narrow(0, 1, 19).copy_from(line.narrow(0, 0, 19));
  CHECK(line.narrow(0, 1, 19).to_vector<double>() == before);
  line.copy_from(line);
  Tensor::zeros({3, 0}).copy_from(Tensor::zeros({1, 0}));
  CHECK(error_of([&] { arange(3).expand({2, 3}).copy_from(square); }).starts_with("copy: "));
}

TEST_CASE("an undefined tensor is an error, not a crash") {
  const Tensor none, t = normal({2, 2});
  CHECK(none.numel() == 0);
  CHECK(error_of([&] { none.item(); }) == "item: undefined tensor");
  const std::vector<std::function<void()>> uses{
      [&] { none.device(); },
      [&] { none.raw(); },
      [&] { none.data<float>(); },
      [&] { none.to_vector<float>(); },
      [&] { none.clone(); },
      [&] { none.fill(1.0); },
      [&] { none.copy_from(t); },
      [&] { t.copy_from(none); },
      [&] { none.to(Dtype::f64); },
      [&] { none.to(Device{}); },
      [&] { sum(none); },
      [&] { sum_squares(none); },
      [&] { exp(none); },
      [&] { exp(Variable()); },
      [&] { add(none, t); },
      [&] {
        cat(std::vector<Tensor>{none, none}, 0);
      },
      [&] {
        cat(std::vector<Tensor>{t, none}, 0);
      },
      [&] { matmul(t, none); },
      [&] { linear(none, t, {}); },
      [&] { linear(t, none, {}); },
      [&] { fourier_features(t, none); },
      [&] {
        conv2d(none, none, {}, {1, 0});
      },
      [&] {
        conv_transpose2d(Variable(), normal({2, 2, 2, 2}), {}, {1, 0});
      },
      [&] {
        instance_norm(normal({1, 2, 2, 2}), {}, {});
      },
      [&] { mean(Variable()); },
      [&] { none.expand({2}); },
      [&] { cast(Variable(), Dtype::f64); },
      [&] { grad(sum(Variable(t, true)), {Variable()}); },
      [&] { grad(sum(Variable(t, true)), {Variable(Tensor(), true)}); },
  };
  for (std::size_t i = 0; i < uses.size(); ++i) {
    CAPTURE(i);
    CHECK_FALSE(error_of(uses[i]).empty());
  }
}

TEST_CASE("elements are given as the type that they are of, only") {
  const Tensor t = normal({2});
  CHECK(error_of([&] { t.data<double>(); }) ==
        "tensor: the elements of a tensor of f32 were asked for as f64");
  CHECK_THROWS_AS(t.to(Dtype::bf16).data<float>(), Error);
  const Tensor count = Tensor::from(std::vector<std::int64_t>{3, -7}, {2});
  CHECK(count.narrow(0, 1, 1).item() == -7.0);
}

TEST_CASE("relu, leaky_relu, clamp and greater select, in value and gradient") {
  const struct {
    Unary f;
    double x, y, g, gx;
  } points[] = {
      {{UnaryOp::leaky_relu, 0.0}, -inf, 0, 1, 0},
      {{UnaryOp::leaky_relu, 0.0}, -1, 0, inf, 0},
      {{UnaryOp::leaky_relu, 0.0}, -1, 0, no_number, 0},
      {{UnaryOp::leaky_relu, 0.0}, 0, 0, -inf, 0},
      {{UnaryOp::leaky_relu, 0.0}, inf, inf, 2, 2},
      {{UnaryOp::leaky_relu, 0.0}, 1, 1, inf, inf},
      {{UnaryOp::leaky_relu, 0.0}, no_number, no_number, 0, 0},
      {{UnaryOp::leaky_relu, 0.0}, no_number, no_number, 3, 3},
      {{UnaryOp::leaky_relu, -0.25}, -4, 1, inf, -inf},
      {{UnaryOp::leaky_relu, -0.25}, 4, 4, 3, 3},
      {{UnaryOp::leaky_relu, 0.25}, -inf, -inf, 4, 1},
      {{UnaryOp::leaky_relu, 0.25}, -4, -1, inf, inf},
      {{UnaryOp::leaky_relu, 0.25}, no_number, no_number, 0, 0},
      {{UnaryOp::clamp, -1, 1}, -inf, -1, inf, 0},
      {{UnaryOp::clamp, -1, 1}, 2, 1, no_number, 0},
      {{UnaryOp::clamp, -1, 1}, inf, 1, -inf, 0},
      {{UnaryOp::clamp, -1, 1}, 0.5, 0.5, inf, inf},
      {{UnaryOp::clamp, -1, 1}, no_number, no_number, inf, 0},
      {{UnaryOp::pow, 0.0}, 2, 1, inf, 0},
      {{UnaryOp::clamp, 3, 1}, 0, 1, 1, 0},
      {{UnaryOp::clamp, 0, inf}, -inf, 0, inf, 0},
      {{UnaryOp::clamp, 0, inf}, inf, inf, 1, 0},
      {{UnaryOp::clamp, 0, inf}, 2, 2, inf, inf},
      {{UnaryOp::greater, 0.0}, inf, 1, inf, 0},
      {{UnaryOp::greater, 0.0}, -inf, 0, no_number, 0},
      {{UnaryOp::greater, 0.0}, no_number, 0, no_number, 0},
  };
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const auto& p : points) {
      CAPTURE(name(p.f));
      CAPTURE(p.x);
      CAPTURE(p.g);
      // As long as it takes for a loop of whole vectors and one for the rest.
      const Tensor x = Tensor::full({37}, p.x, dtype), y = unary(p.f, x);
      const Tensor gx = unary_vjp(p.f, Tensor::full({37}, p.g, dtype), x, y);
      for (const double value : y.to_vector<double>()) CHECK(same(value, p.y));
      for (const double value : gx.to_vector<double>()) CHECK(same(value, p.gx));
    }
  }
  CHECK_FALSE(std::signbit(relu(Tensor::full({}, -1.0)).item()));
  // 1 / x is no number of f32 here, g / x is.
  const Tensor least = Tensor::full({}, 1e-39);
  for (const double g : {0.0, 1e-5}) {
    const Tensor slope = unary_vjp({UnaryOp::log}, Tensor::full({}, g), least, log(least));
    CHECK(slope.item() == doctest::Approx(g / 1e-39).epsilon(1e-5));
  }

  const Variable x(Tensor::full({3}, -1.0, Dtype::f64), true);
  CHECK(grad(sum(sqrt(relu(x))), {x})[0].to_vector<double>() == Values{0, 0, 0});
  CHECK(grad(sum(sqrt(clamp(x, 0.0, inf))), {x})[0].to_vector<double>() == Values{0, 0, 0});
  CHECK_FALSE(greater(x, 0.0).requires_grad());
  // An infinite slope below the step: no zero times infinity.
  const Variable zero(Tensor::zeros({}, Dtype::f64), true);
  CHECK(grad(greater(sqrt(zero), 1.0) + 2.0 * zero, {zero})[0].item() == 2.0);
}

TEST_CASE("the sign of zero is kept, and large numbers cancel nothing") {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    const Tensor zero = Tensor::full({9}, 0.0, dtype), minus = Tensor::full({9}, -0.0, dtype);
    for (const Tensor& negative :
         {-zero, minus * 2.0, 2.0 * minus, minus / 3.0, tanh(minus), sin(minus), minus - 0.0})
      for (const double value : negative.to_vector<double>()) CHECK(std::signbit(value));
    for (const Tensor& positive : {-minus, zero * 2.0, tanh(zero), minus + 0.0})
      for (const double value : positive.to_vector<double>()) CHECK_FALSE(std::signbit(value));
    const Variable x(Tensor::full({}, 1e20, dtype), true);
    CHECK(grad(silu(x), {x}, create_graph)[0].value().item() == 1.0);
  }
}

TEST_CASE("of two operands each gets all of the gradient where one is no number, half where they are equal") {
  const Variable a(Tensor::from(std::vector<double>{no_number, 1, 1, 2, inf}, {5}), true);
  const Variable b(Tensor::from(std::vector<double>{1, no_number, 1, 1, inf}, {5}), true);
  const std::vector<Tensor> of_larger = grad(sum(maximum(a, b)), {a, b});
  CHECK(of_larger[0].to_vector<double>() == Values{1, 1, 0.5, 1, 0.5});
  CHECK(of_larger[1].to_vector<double>() == Values{1, 1, 0.5, 0, 0.5});
  const std::vector<Tensor> of_smaller = grad(sum(minimum(a, b)), {a, b});
  CHECK(of_smaller[0].to_vector<double>() == Values{1, 1, 0.5, 0, 0.5});
  CHECK(of_smaller[1].to_vector<double>() == Values{1, 1, 0.5, 1, 0.5});
}

TEST_CASE("what a class without a share, or an exponent of 0, multiplies is not there") {
  const Variable logits(Tensor::from(std::vector<double>{1, 2, -inf}, {1, 3}), true);
  for (const Tensor& target :
       {Tensor::zeros({1}, Dtype::f64), Tensor::from(std::vector<double>{1, 0, 0}, {1, 3})}) {
    const Variable loss = cross_entropy(logits, target);
    CHECK(loss.value().item() == doctest::Approx(std::log(1 + std::exp(1.0))));
    const Values g = grad(loss, {logits})[0].to_vector<double>();
    CHECK(g[0] == doctest::Approx(1 / (1 + std::exp(1.0)) - 1));
    CHECK(g[2] == 0.0);
  }
  const Variable zero(Tensor::zeros({1}, Dtype::f64), true);
  CHECK(grad(pow(zero, 0.0), {zero}, create_graph)[0].value().item() == 0.0);
  Variable slope = pow(zero, 2.0);
  for (const double expected : {0.0, 2.0, 0.0, 0.0}) {
    slope = grad(slope, {zero}, create_graph)[0];
    CHECK(slope.value().item() == expected);
  }
}

TEST_CASE("relu is fused into products as a selection") {
  const Unary rectify{UnaryOp::leaky_relu, 0.0};
  const Tensor x = Tensor::full({2, 3}, 1.0), w = Tensor::full({4, 3}, -inf);
  for (const double value : linear(x, w, {}, {rectify}).to_vector<double>()) CHECK(value == 0.0);
  for (const double value : linear(x, w, Tensor::zeros({4}), {rectify}).to_vector<double>())
    CHECK(value == 0.0);
}

TEST_CASE("f32 sums over the rows of few columns keep their digits") {
  for (const Shape& shape : {Shape{10000, 2}, Shape{300000, 2}, Shape{300000, 3}, Shape{100000, 8},
                             Shape{20000, 64}, Shape{3, 50000, 2}, Shape{777, 5}}) {
    CAPTURE(shape.str());
    const Tensor x = Tensor::full(shape, 0.1);
    const int dim = shape.ndim() - 2;
    const double exact = static_cast<double>(0.1f) * static_cast<double>(shape[dim]);
    for (const double value : sum(x, dim).to_vector<double>()) CHECK(std::fabs(value / exact - 1.0) < 5e-7);
    Shape kept;  // the gradient of a bias
    kept.push_back(shape.back());
    const double all = static_cast<double>(0.1f) * static_cast<double>(shape.numel() / shape.back());
    for (const double value : sum_to(x, kept).to_vector<double>()) CHECK(std::fabs(value / all - 1.0) < 5e-7);
  }
}

TEST_CASE("so do those of a GPU's threads, of which each adds up many terms") {
  const std::int64_t outer = 1024, reduced = 4000, inner = 2;
  const std::vector<float> x(static_cast<std::size_t>(outer * reduced * inner), 0.1f);
  std::vector<float> sums(static_cast<std::size_t>(outer * inner));
  GridExecutor().reduce<float>(outer, reduced, inner, SumBody<float>{x.data(), reduced, inner}, sums.data());
  const double exact = static_cast<double>(0.1f) * static_cast<double>(reduced);
  for (const float value : sums) CHECK(std::fabs(static_cast<double>(value) / exact - 1.0) < 5e-7);
}

TEST_CASE("a gradient is contiguous and nobody else's memory") {
  const Variable x(normal({3, 4}), true), y(normal({3, 4}), true);
  const auto dense = [](const std::vector<Tensor>& gradients) {
    for (const Tensor& g : gradients) CHECK((g.is_contiguous() && !g.is_shared()));
  };
  dense(grad(sum(x), {x}));
  dense(grad(x + y, {x, y}, normal({3, 4}).transpose(0, 1).reshape({3, 4})));
  dense(grad(x + y, {x, y, x}, Tensor::full({}, 1.0).expand({3, 4})));
  dense(grad(sum(sum(x + y, 0)), {x, y, x}));
  dense(grad(sum(cat({x, y}, 1)), {x, y}));
  dense(grad(reshape(x, {12}), {x}, normal({12})));

  const Tensor seed = Tensor::full({3, 4}, 1.0);
  const std::vector<Tensor> g = grad(x + y, {x, y}, seed);
  g[0].fill(4.0);
  CHECK(sum(seed).item() == 12.0);
  CHECK(sum(g[1]).item() == 12.0);
  const Tensor whole = grad(sum(x), {x})[0];
  whole.narrow(0, 0, 1).narrow(1, 0, 1).fill(5.0);
  CHECK(sum(whole).item() == 16.0);
}

TEST_CASE("a bias of any layout is taken") {
  const Unary leaky{UnaryOp::leaky_relu, 0.2};
  const Tensor x = normal({5, 6}), w = normal({4, 6}), image = normal({2, 6, 6, 3});
  const Tensor filter = normal({4, 3, 3, 3}), up = normal({3, 2, 2, 4});
  const Tensor memory = normal({8});
  const Tensor spaced = Tensor::borrow(memory.raw(), {4}, {2}, Dtype::f32, {});
  for (const Tensor& bias : {spaced, Tensor::full({1}, 0.5).expand({4})}) {
    CHECK_FALSE(bias.is_contiguous());
    const Tensor plain = bias.clone();
    for (const Unary& f : {Unary(), leaky}) {
      CHECK(elements(linear(x, w, bias, {f})) == elements(linear(x, w, plain, {f})));
      CHECK(elements(conv2d(image, filter, bias, {1, 1}, {f})) ==
            elements(conv2d(image, filter, plain, {1, 1}, {f})));
      CHECK(elements(conv_transpose2d(image, up, bias, {2, 0}, {f})) ==
            elements(conv_transpose2d(image, up, plain, {2, 0}, {f})));
    }
  }
}

TEST_CASE("messages and graphs name the operation that was called") {
  const Tensor a = normal({2, 3}), b = normal({4, 5});
  CHECK(error_of([&] { add(a, b); }) == "add: shapes [2, 3] and [4, 5] do not broadcast");
  CHECK(error_of([&] { sub(a, b); }).starts_with("sub: "));
  CHECK(error_of([&] { mul(Variable(a), Variable(b)); }).starts_with("mul: "));
  CHECK(error_of([&] { div(a, b.to(Dtype::f64)); }).starts_with("div: "));
  CHECK(error_of([&] { sum(Tensor()); }) == "sum: undefined tensor");
  CHECK(error_of([&] { Tensor().reshape({1}); }) == "reshape: undefined tensor");
  CHECK(error_of([&] { pad(a, 0, 1, 2); }) == "pad: dimension 0 of shape [2, 3] from 1 on of 2 elements");
  CHECK(error_of([&] { cross_entropy(Variable(Tensor::zeros({})), a); }).starts_with("cross_entropy: "));
  const Tensor counters = Tensor::from(std::vector<std::int64_t>{1, 2}, {2}), half = a.to(Dtype::bf16);
  CHECK(error_of([&] { sum(counters); }) == "sum: not for i64");
  CHECK(error_of([&] { exp(half); }) == "exp: not for bf16; cast to f32");
  for (const Tensor& t : {counters, half}) {
    CHECK(error_of([&] { softmax(t, 0); }).starts_with("softmax: "));
    CHECK(error_of([&] { argmax(t, 0); }).starts_with("argmax: "));
    CHECK(error_of([&] { max(t, 0); }).starts_with("max: "));
    CHECK(error_of([&] { one_hot(t, 3); }).starts_with("one_hot: "));
    CHECK(error_of([&] { sum_squares(t); }).starts_with("sum_squares: "));
    CHECK(error_of([&] { Generator(1).normal({4}, t.dtype()); }).starts_with("normal: "));
  }
  CHECK(error_of([&] { relu(Variable()); }) == "relu: undefined tensor");
  CHECK(error_of([&] { leaky_relu(Tensor(), 0.1); }) == "leaky_relu: undefined tensor");
  CHECK(error_of([&] { fourier_features(a, b); }) == "fourier_features: z is [2, 3], projection is [4, 5]");
  const Tensor image = normal({1, 4, 4, 2}), filter = normal({2, 3, 3, 4});
  CHECK(error_of([&] {
          conv_transpose2d(image, filter, normal({3}), {1, 1});
        }) == "conv_transpose2d: bias [3] for 4 channels");
  CHECK(error_of([&] {
          conv_transpose2d(Variable(image), filter, normal({3}), {1, 1});
        }).starts_with("conv_transpose2d: "));
  CHECK(error_of([&] {
          conv_transpose2d(Variable(image), filter.to(Dtype::f64), {}, {1, 1});
        }).starts_with("conv_transpose2d: "));

  const Variable x(a, true);
  CHECK(std::string(sigmoid(x).node()->op) == "sigmoid");
  CHECK(std::string(relu(x).node()->op) == "relu");
  const Variable y = exp(x), total = sum(y);
  grad(total, {x});
  CHECK(error_of([&] { grad(sum(y), {x}); }).find("'exp'") != std::string::npos);
}
