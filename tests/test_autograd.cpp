/// The graph: what grad() walks, skips, frees and refuses, and how it dies.
#include <doctest/doctest.h>

#include <cmath>

#include "autograd/checks/op_cases.h"
#include "autograd/grad.h"
#include "nn/layers.h"
#include "tensor/error.h"
#include "tensor/random.h"
#include "tests/kernel_log.h"
#include "tests/messages.h"

using namespace damc;

namespace {

using Doubles = std::vector<double>;

Variable leaf(const Doubles& values) {
  return Variable(Tensor::from(values, {static_cast<std::int64_t>(values.size())}), true);
}

Doubles values(const Tensor& t) { return t.to_vector<double>(); }

/// a b, whose gradient in b is left in the shape of the product.
Variable product_without_sum(const Variable& a, const Variable& b) {
  return record("product", mul(a.value(), b.value()),
                {{a, [v = b.value()](const Tensor& g) { return mul(g, v); }},
                 {b, [v = a.value()](const Tensor& g) { return mul(g, v); }}});
}

std::size_t bytes_in_use() { return backend(Device{}).bytes_in_use(); }

}  // namespace

TEST_CASE("a variable used twice gets both contributions") {
  const Variable x = leaf({2.0, -3.0});
  CHECK(values(grad(sum(x * x), {x})[0]) == Doubles{4.0, -6.0});
  CHECK(values(grad(sum(x + x), {x})[0]) == Doubles{2.0, 2.0});
  CHECK(values(grad(sum(cat({x, x}, 0) * leaf({1.0, 2.0, 3.0, 4.0})), {x})[0]) == Doubles{4.0, 6.0});
  const Variable small(x.value().to(Dtype::bf16), true), wide = cast(small, Dtype::f64);
  const Variable y = sum(square(wide)) + sum(cast(small, Dtype::f64));
  const Variable g = grad(y, {small}, create_graph)[0];
  CHECK(g.dtype() == Dtype::bf16);
  CHECK(g.value().to_vector<double>() == Doubles{5.0, -5.0});
  CHECK(grad(y, {small})[0].to_vector<double>() == Doubles{5.0, -5.0});
}

TEST_CASE("a diamond is walked once per edge") {
  const Variable x = leaf({2.0, -3.0});
  int calls = 0;
  const Variable top = record("counted", x.value(), {{x, [&](const Tensor& g) {
                                                        ++calls;
                                                        return g;
                                                      }}});
  // y = x^2 + 3 x + x^2 (3 x), and every inner variable is used more than once.
  const Variable left = square(top), right = 3.0 * top;
  CHECK(values(grad(sum(left + right + left * right), {x})[0]) == Doubles{4 + 3 + 36, -6 + 3 + 81});
  CHECK(calls == 1);
}

TEST_CASE("many diamonds in a row do not multiply the work") {
  const Variable x = leaf({1.0});
  Variable y = x;
  for (int i = 0; i < 60; ++i) y = y + y;
  CHECK(values(grad(y, {x})[0]) == Doubles{std::ldexp(1.0, 60)});
}

TEST_CASE("gradients come in the order of the xs, also of inner variables and of y itself") {
  const Variable a = leaf({2.0}), b = leaf({5.0});
  const Variable c = a * b, y = square(c);
  const std::vector<Tensor> g = grad(y, {b, y, a, c, b});
  REQUIRE(g.size() == 5);
  CHECK(values(g[0]) == Doubles{40.0});
  CHECK(values(g[1]) == Doubles{1.0});
  CHECK(values(g[2]) == Doubles{100.0});
  CHECK(values(g[3]) == Doubles{20.0});
  CHECK(values(g[4]) == Doubles{40.0});
}

TEST_CASE("a leaf as y") {
  const Variable x = leaf({3.0}), other = leaf({1.0, 2.0});
  for (int i = 0; i < 2; ++i) {  // a leaf has nothing to consume
    const std::vector<Tensor> g = grad(x, {x, other});
    CHECK(values(g[0]) == Doubles{1.0});
    CHECK(values(g[1]) == Doubles{0.0, 0.0});
  }
}

TEST_CASE("an x that y does not depend on gets zeros of its shape and type") {
  const Variable x = leaf({3.0});
  const Variable unused(Tensor::full({2, 3}, 7.0, Dtype::f32), true);
  const Tensor g = grad(square(x), {unused})[0];
  CHECK(g.shape() == Shape{2, 3});
  CHECK(g.dtype() == Dtype::f32);
  CHECK(values(g) == Doubles(6, 0.0));
}

TEST_CASE("constants record nothing") {
  const Variable constant(Tensor::full({2}, 3.0, Dtype::f64)), x = leaf({1.0, 2.0});
  CHECK_FALSE((constant * constant).requires_grad());
  CHECK_FALSE(exp(x.detach()).requires_grad());
  CHECK_FALSE(linear(Variable(Tensor::zeros({1, 2})), Tensor::zeros({3, 2}), {}).requires_grad());
  REQUIRE((x * constant).requires_grad());
  CHECK((x * constant).node()->edges.size() == 1);
  CHECK((x * x.value()).node()->edges.size() == 1);
  CHECK(values(grad(sum(x * constant.detach() + x.detach()), {x})[0]) == Doubles{3.0, 3.0});
}

TEST_CASE("the seed is dL/dy") {
  const Variable x = leaf({2.0, -3.0});
  const auto seed = [](const Doubles& v, const Shape& shape) { return Tensor::from(v, shape); };
  CHECK(values(grad(square(x), {x}, seed({10.0, 100.0}, {2}))[0]) == Doubles{40.0, -600.0});
  CHECK(values(grad(sum(x), {x}, seed({5.0}, {}))[0]) == Doubles{5.0, 5.0});
  CHECK(values(grad(square(x), {x}, seed({4.0}, {}).expand({2}))[0]) == Doubles{16.0, -24.0});

  const std::string wrong_shape = error_of([&] { grad(square(x), {x}, seed({1.0, 2.0, 3.0}, {3})); });
  CHECK(contains(wrong_shape, "[3]"));
  CHECK(contains(wrong_shape, "[2]"));
  CHECK(contains(error_of([&] { grad(square(x), {x}, Tensor::zeros({2}, Dtype::f32)); }), "f32"));
}

TEST_CASE("what grad refuses") {
  const Variable x = leaf({2.0, -3.0});
  SUBCASE("a y that is not a scalar") {
    CHECK(contains(error_of([&] { grad(square(x), {x}); }), "[2]"));
  }
  SUBCASE("a y without a graph") {
    const Variables constants{sum(x).detach(), x.value(), sum(x.value()), greater(x, 0.0), Variable()};
    for (const Variable& y : constants) CHECK(contains(error_of([&] { grad(y, {x}); }), "has no graph"));
  }
  SUBCASE("an x that takes no gradient") {
    CHECK(contains(error_of([&] { grad(sum(x), {x.detach()}); }), "takes no gradient"));
  }
  SUBCASE("a graph that was consumed") {
    const Variable inner = exp(x), y = sum(inner);
    grad(y, {x});
    CHECK(contains(error_of([&] { grad(y, {x}); }), "'sum'"));
    CHECK(contains(error_of([&] { grad(sum(square(inner)), {x}); }), "compute y again"));
    CHECK(values(grad(sum(inner.detach() * x), {x})[0]) == values(inner.value()));
  }
  SUBCASE("a vjp whose result has another shape") {
    const Variable b = leaf({4.0});
    const std::string message = error_of([&] { grad(sum(product_without_sum(x, b)), {b}); });
    CHECK(contains(message, "[2]"));
    CHECK(contains(message, "[1]"));
  }
}

TEST_CASE("a branch that leads to no x is not walked") {
  const Variable x = leaf({1.0}), w = leaf({2.0});
  const auto forbidden = [](const Tensor&) -> Tensor { throw Error("walked"); };
  const Variable aside = record("aside", w.value(), {{w, forbidden}});
  CHECK(values(grad(x * aside, {x})[0]) == Doubles{2.0});
  CHECK_THROWS_AS(grad(x * record("aside", w.value(), {{w, forbidden}}), {w}), Error);
}

TEST_CASE(
    "gradients are handed over when they are final, before those of what was computed earlier are found") {
  const Variable a = leaf({2, 3}), b = leaf({5, 7}), shared = leaf({11, 13}), unused = leaf({0, 0, 0});
  std::vector<std::string> events;
  const auto step = [&events](const char* name, const Variable& x, const Variable& w) {
    return record(name, mul(x.value(), w.value()),
                  {{x,
                    [&events, name, v = w.value()](const Tensor& g) {
                      events.push_back(name);
                      return mul(g, v);
                    }},
                   {w, [v = x.value()](const Tensor& g) { return mul(g, v); }}});
  };
  const auto loss = [&](const Variable& first) {
    return sum(step("third", step("second", first, b), shared));
  };
  std::vector<Variable> xs{a, b, shared, unused};
  const std::vector<Tensor> due = grad(loss(step("first", a, shared)), xs);
  events.clear();
  const Variable first = step("first", a, shared), y = loss(first);
  xs.insert(xs.end(), {first, b});  // no leaf, so its gradient is passed on as well; one asked for twice
  std::vector<Tensor> found(xs.size());
  grad(y, xs, [&](std::size_t i, const Tensor& gradient) {
    events.push_back(fmt::format("x{}", i));
    found[i] = gradient;
  });
  CHECK(events == std::vector<std::string>{"third", "second", "x4", "x1", "x5", "first", "x0", "x2", "x3"});
  for (std::size_t i = 0; i < xs.size(); ++i) {
    CHECK_FALSE(found[i].is_shared());
    CHECK(values(found[i]) == (i < 4 ? values(due[i]) : i == 4 ? Doubles{5 * 11, 7 * 13} : values(due[1])));
  }
  CHECK_THROWS_AS(grad(y, xs, [](std::size_t, const Tensor&) {}), Error);  // consumed
}

TEST_CASE("a graph of a million nodes does not need the stack") {
  const Variable x = leaf({1.0});
  const auto chain = [&] {
    Variable y = x;
    for (int i = 0; i < 1'000'000; ++i)
      y = record("same", y.value(), {{y, [](const Tensor& g) { return g; }}});
    return y;
  };
  SUBCASE("walked") { CHECK(values(grad(chain(), {x})[0]) == Doubles{1.0}); }
  SUBCASE("dropped") {
    const std::weak_ptr<Node> end = chain().node();
    CHECK(end.expired());
  }
  SUBCASE("dropped with two edges at each node") {
    std::weak_ptr<Node> first;
    {
      Variable y = x;
      for (int i = 0; i < 1'000'000; ++i) {
        const Vjp same = [](const Tensor& g) { return g; };
        y = record("twice", y.value(), {{y, same}, {y, same}});
        if (i == 0) first = y.node();
      }
    }
    CHECK(first.expired());
  }
}

TEST_CASE("what a vjp saved is freed as the walk passes it") {
  constexpr std::size_t n = 1 << 16, tensor_bytes = n * sizeof(float);
  constexpr int layers = 8;
  const std::size_t before = bytes_in_use();
  {
    const Variable x(Tensor::zeros({n}), true);
    std::size_t at_bottom = 0, at_top = 0;
    const auto watch = [](const Variable& v, std::size_t& seen) {
      return record("watch", v.value(), {{v, [&seen](const Tensor& g) {
                                            seen = bytes_in_use();
                                            return g;
                                          }}});
    };
    Variable y = watch(x, at_bottom);
    for (int i = 0; i < layers; ++i) y = exp(y);
    y = sum(watch(y, at_top));
    const std::vector<Tensor> g = grad(y, {x});
    // The layers' results are gone, and what is new is the one gradient on its way.
    CHECK(at_top - at_bottom >= (layers - 1) * tensor_bytes);
  }
  CHECK(bytes_in_use() == before);
}

TEST_CASE("nothing leaks") {
  const std::size_t before = bytes_in_use();
  for (const OpCase& row : op_cases()) {
    CAPTURE(row.name());
    for (const bool walk : {true, false}) {
      Variables leaves;
      for (const Tensor& input : make_inputs(row, Dtype::f32)) leaves.emplace_back(input, true);
      const Variable y = row.f(leaves);
      if (walk) grad(y, leaves, Tensor::zeros(y.shape()));
    }
    REQUIRE(bytes_in_use() == before);
  }
}

TEST_CASE("a graph that was walked keeps no memory, even while y lives") {
  constexpr std::size_t n = 1000, tensor_bytes = n * sizeof(float);
  const Variable x(Tensor::zeros({n}), true);
  const std::size_t before = bytes_in_use();
  const Variable y = sum(exp(exp(x)));
  CHECK(bytes_in_use() - before >= 2 * tensor_bytes);
  grad(y, {x});
  CHECK(bytes_in_use() - before < tensor_bytes);
}

TEST_CASE("dU/dz through a generator and an energy runs no weight-gradient kernel") {
  Generator random(3);
  Init init(random);
  Sequential generator, energy;
  generator.emplace<ConvTranspose2d>(8, 6, 4, ConvOptions{}, init);
  generator.push_back(leaky_relu_layer(0.2));
  generator.emplace<ConvTranspose2d>(6, 3, 4, ConvOptions{2, 1}, init);
  generator.push_back(tanh_layer());
  energy.emplace<Linear>(8, 16, init);
  energy.push_back(leaky_relu_layer(0.2));
  energy.emplace<Linear>(16, 1, init);

  const Tensor x = random.normal({2, 8, 8, 3});
  const Variable z(random.normal({2, 8}), true);
  const auto potential = [&] {
    const Variable image = generator.forward(reshape(z, {2, 1, 1, 8}));
    return sum(square(x - image)) + sum(energy.forward(z));
  };

  Tensor alone, with_weights;
  {
    const Variable u = potential();
    KernelLog log;
    alone = grad(u, {z})[0];
    CHECK(log.count("conv2d_grad_w") == 0);
    CHECK(log.count("conv2d") == 2);  // input gradients of the two transposed convolutions
    CHECK(log.count("gemm") == 2);    // input gradients of the two linear layers
  }
  {
    std::vector<Variable> xs{z};
    for (const Module* module : {&generator, &energy}) {
      for (const Variable& parameter : module->parameters()) xs.push_back(parameter);
    }
    const Variable u = potential();
    KernelLog log;
    with_weights = grad(u, xs)[0];
    CHECK(log.count("conv2d_grad_w") == 2);
    CHECK(log.count("conv2d") == 2);
    CHECK(log.count("gemm") == 4);
  }
  CHECK(values(alone) == values(with_weights));
}

TEST_CASE("retain_graph: another gradient of the same graph, with another seed") {
  const Variable x = leaf({2.0, -3.0}), w(Tensor::from(Doubles{0.5, 0.25, 1.0, 2.0}, {2, 2}), true);
  const Variable y =
      linear(reshape(x, {1, 2}), w, {}, {{UnaryOp::tanh}});  // its gradients share what they begin with
  const auto seed = [](double a, double b) { return Tensor::from(Doubles{a, b}, {1, 2}); };
  const std::vector<Tensor> first = grad(y, {x, w}, retain_graph, seed(1.0, 0.0)),
                            second = grad(y, {x, w}, retain_graph, seed(0.0, 1.0)),
                            both = grad(y, {x, w}, seed(1.0, 1.0));
  for (std::size_t i = 0; i < 2; ++i) CHECK(values(first[i] + second[i]) == values(both[i]));
  CHECK(values(first[0]) != values(second[0]));
  CHECK(contains(error_of([&] { grad(y, {x}, seed(1.0, 1.0)); }), "compute y again"));
}

TEST_CASE("retain_graph: a seed that is written anew between two gradients") {
  const Variable x(arange(12, Dtype::f64).reshape({1, 2, 2, 3}), true);
  const Tensor filter = Generator(1).normal({3, 1, 1, 3}, Dtype::f64),
               one = Tensor::full({3}, 1.0, Dtype::f64);
  const Unary act{UnaryOp::tanh};
  const auto check = [&](const Variable& y) {
    const Tensor seed = Tensor::zeros(y.shape(), Dtype::f64), some = seed.reshape({-1}).narrow(0, 4, 2);
    grad(y, {x}, retain_graph, seed);
    some.fill(1.0);
    const Doubles found = values(grad(y, {x}, retain_graph, seed)[0]);
    CHECK(found != Doubles(12, 0.0));
    CHECK(found == values(grad(y, {x}, retain_graph, seed.clone())[0]));
  };
  check(conv2d(x, filter, {}, {}, {act}));
  check(reshape(linear(reshape(x, {4, 3}), filter.reshape({3, 3}), one, {act}), x.shape()));
  check(instance_norm(x, one, one, 1e-5, act));
  check(fourier_features(reshape(x, {12, 1}), Tensor::full({1, 1}, 0.3, Dtype::f64)));
}

TEST_CASE("create_graph: derivatives of any order") {
  const Variable x = leaf({2.0});
  Variable y = pow(x, 4.0);
  for (const double wanted : {4 * 8.0, 12 * 4.0, 24 * 2.0, 24.0, 0.0}) {
    y = grad(y, {x}, create_graph)[0];
    CHECK(y.value().item() == doctest::Approx(wanted));
  }
  SUBCASE("the graph of y stays, as with retain_graph") {
    const Variable z = sum(exp(x));
    const Variable g = grad(z, {x}, create_graph)[0];
    CHECK(values(grad(sum(square(g)), {x})[0]) == Doubles{2.0 * std::exp(2.0) * std::exp(2.0)});
    CHECK(contains(error_of([&] { grad(z, {x}); }), "compute y again"));  // the second walk went through it
  }
  SUBCASE("the seed may be a variable") {
    const Variable s = leaf({5.0});
    const Variable g = grad(square(x), {x}, create_graph, s)[0];  // 2 x s
    CHECK(values(grad(g, {s})[0]) == Doubles{4.0});
  }
  SUBCASE("an x that y does not depend on gets zeros") {
    CHECK(values(grad(square(x), {leaf({1.0, 2.0})}, create_graph)[0].value()) == Doubles{0.0, 0.0});
  }
  SUBCASE("a user's vjp of tensors says that it has no second derivative") {
    const Variable z =
        record("mine", square(x.value()), {{x, [v = x.value()](const Tensor& g) { return 2.0 * g * v; }}});
    CHECK(contains(error_of([&] { grad(z, {x}, create_graph); }), "'mine'"));
  }
  SUBCASE("a user's vjp of both has one") {
    const Variable z =
        record("mine", square(x.value()), {{x, [v = Saved(x)](const auto& g) { return 2.0 * g * v(g); }}});
    CHECK(values(grad(grad(z, {x}, create_graph)[0], {x})[0]) == Doubles{2.0});
  }
}

TEST_CASE("a Hessian-vector product") {
  Generator random(4);
  const Tensor a = random.normal({5, 5}, Dtype::f64), v = random.normal({5, 1}, Dtype::f64);
  const Variable x(random.normal({5, 1}, Dtype::f64), true);
  const Variable f = sum(x * matmul(a, x)) * 0.5;
  const Variable slope = sum(grad(f, {x}, create_graph)[0] * v);
  const Tensor wanted = matmul(0.5 * (a + a.transpose(0, 1)), v);
  CHECK(relative_error(grad(slope, {x})[0], wanted) < 1e-14);
}

TEST_CASE("nothing leaks of second derivatives") {
  const std::size_t before = bytes_in_use();
  for (const OpCase& row : op_cases()) {
    CAPTURE(row.name());
    {
      Variables leaves;
      for (const Tensor& input : make_inputs(row, Dtype::f32)) leaves.emplace_back(input, true);
      const Variable y = row.f(leaves);
      if (!y.requires_grad()) continue;
      const Variables g = grad(y, leaves, create_graph, Tensor::full(y.shape(), 1.0));
      if (g[0].requires_grad()) grad(sum(square(g[0])), {leaves[0]});
    }
    REQUIRE(bytes_in_use() == before);
  }
}
