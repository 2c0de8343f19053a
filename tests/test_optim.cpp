/// Adam and AdamW against a plain loop in double, clipping, resuming, moving averages, learning rate
/// schedules.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "autograd/ops.h"
#include "optim/adam.h"
#include "optim/ema.h"
#include "optim/learner.h"
#include "optim/schedule.h"
#include "optim/sgd.h"
#include "tensor/backend.h"
#include "tensor/error.h"
#include "tensor/kernels/tensor_list.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/messages.h"

using namespace damc;

namespace {

/// A matrix and a filter; nothing of their values matters.
class Weights final : public Module {
 public:
  explicit Weights(Dtype dtype, std::uint64_t seed = 1) {
    Generator random(seed);
    matrix = Variable(random.normal({3, 5}, dtype), true);
    filter = Variable(random.normal({2, 3, 3, 4}, dtype), true);
  }
  void visit(const std::string& prefix, const Visitor& visitor) const override {
    visitor(prefix + "matrix", matrix);
    visitor(prefix + "filter", filter);
  }

  Variable matrix, filter;
};

using Doubles = std::vector<double>;

Doubles values(const Tensor& t) { return t.to_vector<double>(); }

/// The parameters one after the other.
Doubles values(const Module& module) {
  Doubles all;
  for (const Variable& parameter : module.parameters()) {
    const Doubles some = values(parameter.value());
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

/// Gradients of step t: the same numbers for every type, of norm about 9.
std::vector<Tensor> gradients(const Weights& weights, std::uint64_t t) {
  Generator random(100 + t);
  const Dtype dtype = weights.matrix.dtype();
  const Tensor matrix = random.normal(weights.matrix.shape(), dtype);
  return {matrix, random.normal(weights.filter.shape(), dtype)};
}

Doubles flat(const std::vector<Tensor>& tensors) {
  Doubles all;
  for (const Tensor& t : tensors) {
    const Doubles some = values(t);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

double norm(const Doubles& x) {
  double square = 0.0;
  for (const double value : x) square += value * value;
  return std::sqrt(square);
}

double relative_error(const Doubles& got, const Doubles& wanted) {
  Doubles difference(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) difference[i] = got[i] - wanted[i];
  return norm(difference) / norm(wanted);
}

/// Adam as in the paper, element by element: bias-corrected moments, decay apart from the gradient.
struct PlainAdam {
  double beta1, beta2, eps, decay;
  Doubles p, m = Doubles(p.size(), 0.0), v = Doubles(p.size(), 0.0);
  int t = 0;

  void step(const Doubles& g, double lr) {
    ++t;
    for (std::size_t i = 0; i < p.size(); ++i) {
      m[i] = beta1 * m[i] + (1 - beta1) * g[i];
      v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
      const double m_hat = m[i] / (1 - std::pow(beta1, t)), v_hat = v[i] / (1 - std::pow(beta2, t));
      p[i] -= lr * decay * p[i];
      p[i] -= lr * m_hat / (std::sqrt(v_hat) + eps);
    }
  }
};

double rate(int t) { return 1e-2 / (1 + t); }

/// `count` steps from step `first` on.
void train(Adam& adam, const Weights& weights, int first, int count, double max_norm = 0.0) {
  for (int t = first; t < first + count; ++t) {
    const std::vector<Tensor> g = gradients(weights, static_cast<std::uint64_t>(t));
    adam.step(g, global_norm(g), rate(t), max_norm);
  }
}

}  // namespace

TEST_CASE("ten steps of Adam and AdamW follow the paper") {
  for (const AdamOptions& options :
       {AdamOptions{}, AdamOptions{0.5, 0.9, 1e-3, 0.0}, AdamOptions{0.9, 0.999, 1e-8, 0.1}}) {
    for (const Dtype dtype : {Dtype::f64, Dtype::f32}) {
      CAPTURE(options.weight_decay);
      CAPTURE(name(dtype));
      Weights weights(dtype);
      Adam adam(weights, options);
      PlainAdam plain{options.beta1, options.beta2, options.eps, options.weight_decay, values(weights)};
      const Doubles start = plain.p;
      for (int t = 0; t < 10; ++t) {
        const std::vector<Tensor> g = gradients(weights, static_cast<std::uint64_t>(t));
        adam.step(g, global_norm(g), rate(t));
        plain.step(flat(g), rate(t));
      }
      Doubles moved = values(weights), expected = plain.p;
      for (std::size_t i = 0; i < start.size(); ++i) {
        moved[i] -= start[i];
        expected[i] -= start[i];
      }
      CHECK(relative_error(moved, expected) < (dtype == Dtype::f64 ? 1e-12 : 1e-5));
    }
  }
}

TEST_CASE("the first step of Adam is its rate, in f32 too") {
  for (const double beta2 : {0.999, 0.9999, 0.99999}) {
    Weights weights(Dtype::f32);
    for (const Variable& parameter : weights.parameters()) parameter.value().fill(0.0);
    Adam adam(weights, {0.9, beta2, 0.0, 0.0});
    adam.step(gradients(weights, 1), {}, 1.0);
    for (const double value : values(weights)) CHECK(std::abs(value) == doctest::Approx(1.0).epsilon(5e-7));
  }
}

TEST_CASE("global_norm is the norm over all gradients") {
  Weights weights(Dtype::f64);
  const std::vector<Tensor> g = gradients(weights, 3);
  CHECK(global_norm(g).item() == doctest::Approx(norm(flat(g))).epsilon(1e-14));
  CHECK(global_norm({Tensor::full({}, -3.0), Tensor::full({1}, 4.0)}).item() == 5.0);
}

TEST_CASE("many tensors at once: the bits of one after the other") {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    std::vector<AdamTensors> together, alone;
    std::vector<Tensor> grads;
    Generator random(4);
    for (int i = 0; i < 2 * kMostTensors + 3; ++i) {  // sizes around those of a piece; some of no elements
      const std::int64_t sizes[] = {1, 7, kPieceElements - 1, kPieceElements, kPieceElements + 1, 0, 5000};
      const Shape shape{i == 40 ? 100'000 : sizes[i % 7]};
      const auto draw = [&] { return random.normal(shape, dtype); };
      const AdamTensors one{draw(), draw(), draw(), square(draw())};
      together.push_back(one);
      alone.push_back({one.param.clone(), one.grad, one.m.clone(), one.v.clone()});
      grads.push_back(one.grad);
    }
    const Tensor norm = global_norm(grads);
    long double squares = 0.0;
    for (const double g : flat(grads)) squares += static_cast<long double>(g) * g;
    CHECK(
        norm.item() ==
        doctest::Approx(static_cast<double>(std::sqrt(squares))).epsilon(dtype == Dtype::f64 ? 1e-13 : 1e-6));

    const Tensor schedule = Tensor::from(Doubles{1e-2, 0.9, 0.999}, {3});
    const AdamStep step{schedule, norm, 1.0, 0.9, 0.999, 1e-8, 0.01};
    backend({}).adam(together, step);
    for (const AdamTensors& one : alone) backend({}).adam({&one, 1}, step);
    for (std::size_t i = 0; i < alone.size(); ++i) {
      CAPTURE(i);
      CHECK(values(together[i].param) == values(alone[i].param));
      CHECK(values(together[i].m) == values(alone[i].m));
      CHECK(values(together[i].v) == values(alone[i].v));
    }
  }
}

TEST_CASE("clipping") {
  const AdamOptions options{0.9, 0.999, 1.0, 0.0};  // a large eps, or Adam would undo any scaling
  Weights weights(Dtype::f64);
  Adam adam(weights, options);
  const Doubles start = values(weights);

  SUBCASE("a norm below the limit changes nothing") {
    Weights free(Dtype::f64);
    Adam unclipped(free, options);
    train(adam, weights, 0, 3, 1e3);
    train(unclipped, free, 0, 3);
    CHECK(values(weights) != start);
    CHECK(values(weights) == values(free));
  }
  SUBCASE("a norm above the limit scales all gradients alike") {
    constexpr double limit = 0.5;
    PlainAdam plain{options.beta1, options.beta2, options.eps, options.weight_decay, start};
    for (int t = 0; t < 3; ++t) {
      const std::vector<Tensor> g = gradients(weights, static_cast<std::uint64_t>(t));
      adam.step(g, global_norm(g), rate(t), limit);
      Doubles scaled = flat(g);
      const double size = norm(scaled);
      REQUIRE(size > limit);
      for (double& value : scaled) value *= limit / (size + 1e-6);
      plain.step(scaled, rate(t));
    }
    CHECK(relative_error(values(weights), plain.p) < 1e-13);
  }
  SUBCASE("with a norm that is no number no gradient is one; with an infinite one what is finite is 0") {
    std::vector<Tensor> g = gradients(weights, 0);
    const double inf = std::numeric_limits<double>::infinity();
    for (const double bad : {inf, std::nan("")}) {
      g[0].fill(bad);
      const Doubles before = values(weights.filter.value());
      adam.step(g, global_norm(g), 0.1, 1.0);
      for (const double value : values(weights.matrix.value())) CHECK(std::isnan(value));
      const Doubles filter = values(weights.filter.value());
      for (std::size_t i = 0; i < filter.size(); ++i)
        CHECK((bad == inf ? filter[i] == before[i] : std::isnan(filter[i])));
    }
  }
}

TEST_CASE("gradients may be views") {
  Weights weights(Dtype::f32), other(Dtype::f32);
  Adam adam(weights, {}), adam_of_views(other, {});
  std::vector<Tensor> g = gradients(weights, 0);
  adam.step(g, global_norm(g), 0.1);
  for (Tensor& t : g) t = t.transpose(0, 1).clone().transpose(0, 1);
  REQUIRE_FALSE(g[0].is_contiguous());
  adam_of_views.step(g, global_norm(g), 0.1);
  CHECK(values(weights) == values(other));
}

/// A parameter.
class One final : public Module {
 public:
  explicit One(const Tensor& t) : parameter(t, true) {}
  void visit(const std::string& prefix, const Visitor& visitor) const override {
    visitor(prefix + "one", parameter);
  }
  Variable parameter;
};

TEST_CASE("what lies beside a strided parameter is not overwritten") {
  const Tensor all = Tensor::zeros({3, 4});
  One columns(all.narrow(1, 0, 2)), source(Tensor::full({3, 2}, 1.0));
  CHECK(contains(error_of([&] { Adam(columns, {}); }), "'one' [3, 2]"));
  CHECK(contains(error_of([&] { ema_update(columns, source, 0.5); }), "[3, 2]"));
  CHECK(sum_squares(all).item() == 0.0);
  // What is only read may be a view.
  const Tensor turned = arange(6).reshape({2, 3}).transpose(0, 1);
  ema_update(source, One(turned), 1.0);
  CHECK(values(source) == values(turned));
}

TEST_CASE("gradients that do not fit are refused") {
  Weights weights(Dtype::f32);
  Adam adam(weights, {});
  std::vector<Tensor> g = gradients(weights, 0);
  const Tensor size = global_norm(g);
  const auto step = [&] { adam.step(g, size, 0.1); };
  SUBCASE("order") {
    std::swap(g[0], g[1]);
    CHECK_THROWS_AS(step(), Error);
  }
  SUBCASE("number") {
    g.pop_back();
    CHECK_THROWS_AS(step(), Error);
  }
  SUBCASE("none") {
    g[1] = Tensor();
    CHECK(contains(error_of(step), "'filter'"));
  }
  SUBCASE("a norm that is none") {
    for (const Tensor& norm : {Tensor::zeros({0}), Tensor::zeros({}, Dtype::f64)})
      CHECK(contains(error_of([&] { adam.step(g, norm, 0.1, 1.0); }), "norm"));
  }
  SUBCASE("type") {
    g[1] = g[1].to(Dtype::f64);
    CHECK_THROWS_AS(step(), Error);
  }
}

TEST_CASE("a gradient that does not fit leaves no half of a step behind") {
  Weights weights(Dtype::f32);
  const Doubles before = values(weights);
  std::vector<Tensor> g = gradients(weights, 0);
  for (const SgdOptions& options : {SgdOptions{}, SgdOptions{.momentum = 0.9, .weight_decay = 0.1}}) {
    Sgd sgd(weights, options);
    for (const Tensor& bad : {Tensor(), g[1].to(Dtype::f64), g[1].narrow(0, 0, 1)}) {
      CHECK(contains(error_of([&] { sgd.step({g[0], bad}, 0.1); }), "'filter'"));
      CHECK(values(weights) == before);
    }
  }
}

TEST_CASE("parameters of two types are refused before any is updated") {
  Weights mixed(Dtype::f32), source(Dtype::f32, 2);
  mixed.filter = source.filter = Variable(mixed.filter.value().to(Dtype::f64), true);
  const Doubles before = values(mixed);
  CHECK(error_of([&] { Adam(mixed, {}); }) ==
        "adam: parameter 'filter' is f64 on cpu, 'matrix' is f32 on cpu");
  CHECK(contains(error_of([&] { ema_update(mixed, source, 0.5); }), "f64 on cpu, the first f32"));
  Weights half(Dtype::f32);
  half.filter = Variable(half.filter.value().to(Dtype::bf16), true);
  CHECK(contains(error_of([&] { Sgd{half}; }), "sgd: not for bf16"));
  CHECK(values(mixed) == before);
}

TEST_CASE("a watch keeps the first number that is not finite, and its iteration") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    FiniteWatch watch(Device{});
    const auto see = [&](double value, std::int64_t code) {
      watch.see(Tensor::full({}, value, dtype), code);
    };
    watch.begin(0);
    for (const double value : {0.0, -1e30, std::numeric_limits<double>::denorm_min()}) see(value, 4);
    watch.begin(123456789);
    see(1.0, 1);
    CHECK_FALSE(watch.read());
    see(-inf, 3);
    see(nan, 2);
    watch.begin(123456790);
    see(inf, 1);
    const auto found = watch.read();
    REQUIRE(found);
    CHECK(found->iteration == 123456789);
    CHECK(found->code == 3);
    CHECK_FALSE(found->is_nan);
    watch.reset();
    CHECK_FALSE(watch.read());
    watch.begin(7);
    see(nan, 0);
    REQUIRE(watch.read());
    CHECK(watch.read()->iteration == 7);
    CHECK(watch.read()->code == 0);
    CHECK(watch.read()->is_nan);
    CHECK_THROWS_AS(watch.see(Tensor::zeros({2}, dtype), 0), Error);
  }
}

TEST_CASE("no update once a watch has seen a number that is not finite") {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    Weights weights(dtype), free(dtype);
    Adam adam(weights, {.weight_decay = 0.1}), unwatched(free, {.weight_decay = 0.1});
    FiniteWatch watch(Device{});
    const std::vector<Tensor> g = gradients(weights, 0);
    adam.set_rate(0.1);
    adam.update(g, global_norm(g), 1.0, &watch);
    unwatched.step(g, global_norm(g), 0.1, 1.0);
    CHECK(values(weights) == values(free));
    watch.begin(1);
    watch.see(Tensor::full({1}, std::nan(""), dtype), 0);
    const Doubles before = values(weights);
    const StateDict state = adam.state_dict("");
    adam.update(g, global_norm(g), 1.0, &watch);
    CHECK(values(weights) == before);
    for (const auto& [name, value] : adam.state_dict("")) CHECK(values(value) == values(state.at(name)));
    watch.reset();
    adam.update(g, global_norm(g), 1.0, &watch);
    unwatched.step(g, global_norm(g), 0.1, 1.0);
    CHECK(values(weights) == values(free));
  }
}

TEST_CASE("networks that are stepped together: none moves when the gradient of one is not finite") {
  Weights first(Dtype::f64, 1), second(Dtype::f64, 2);
  FiniteWatch watch{Device{}};
  const LearnerOptions options{.rate = {0.1, 1.0, 1, 0.0}};
  Learner one("first", "a", first, options, watch), two("second", "b", second, options, watch);
  one.begin(0);
  two.begin(0);
  const Variable all = sum(first.matrix) + sum(second.matrix);
  step_together(all + sqrt(0.0 * sum(square(second.filter))), {&one, &two});  // a root without slope
  CHECK(watch.what(watch.read().value().code) == "second gradient norm");
  CHECK(values(first) == values(Weights(Dtype::f64, 1)));
  CHECK(values(second) == values(Weights(Dtype::f64, 2)));
  watch.reset();
  step_together(sum(first.matrix) + sum(second.matrix), {&one, &two});
  for (const auto& [now, seed] : {std::pair{&first, 1u}, {&second, 2u}})
    CHECK(norm(values(sub(now->matrix.value(), Weights(Dtype::f64, seed).matrix.value()))) ==
          doctest::Approx(0.1 * std::sqrt(15.0)));
}

TEST_CASE("a saved optimiser continues bit for bit") {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    const AdamOptions options{0.9, 0.999, 1e-8, 0.01};
    Weights through(dtype), first(dtype);
    Adam adam(through, options), before(first, options);
    train(adam, through, 0, 8, 1.0);

    train(before, first, 0, 5, 1.0);
    Weights resumed(dtype, 2);
    resumed.load_state_dict(first.state_dict());
    Adam continued(resumed, options);
    continued.load_state_dict(before.state_dict("opt."), "opt.");
    train(continued, resumed, 5, 3, 1.0);
    CHECK(values(resumed) == values(through));

    // Without the state the result is another: the test can fail.
    Adam fresh(first, options);
    train(fresh, first, 5, 3, 1.0);
    CHECK(values(first) != values(through));
  }
}

TEST_CASE("an optimiser's state has PyTorch's layout and names what does not fit") {
  Weights weights(Dtype::f32);
  Adam adam(weights, {});
  train(adam, weights, 0, 1);
  StateDict state = adam.state_dict("opt.");
  CHECK(state.size() == 5);
  CHECK(state.at("opt.m.filter").shape() == Shape{2, 4, 3, 3});
  CHECK(state.at("opt.v.matrix").shape() == Shape{3, 5});
  CHECK(state.at("opt.schedule").dtype() == Dtype::f64);

  const auto load = [&] { adam.load_state_dict(state, "opt."); };
  SUBCASE("missing") {
    state.erase("opt.v.filter");
    state["opt.m.matrix"] = Tensor::zeros({3, 5});
    CHECK(contains(error_of<UserError>(load), "'opt.v.filter'"));
    CHECK(sum_squares(adam.state_dict("").at("m.matrix")).item() > 0.0);  // nothing was loaded
  }
  SUBCASE("shape") {
    state["opt.m.matrix"] = Tensor::zeros({3, 4});
    const std::string message = error_of<UserError>(load);
    CHECK(contains(message, "'opt.m.matrix'"));
    CHECK(contains(message, "[3, 4]"));
    CHECK(contains(message, "[3, 5]"));
  }
}

TEST_CASE("ema_update moves the target by the rate") {
  Weights target(Dtype::f64, 1), source(Dtype::f64, 2);
  const Doubles from = values(target), to = values(source);
  ema_update(target, source, 0.25);
  const Doubles between = values(target);
  for (std::size_t i = 0; i < from.size(); ++i)
    CHECK(between[i] == doctest::Approx(0.75 * from[i] + 0.25 * to[i]));
  CHECK(values(source) == to);
  FiniteWatch watch(Device{});
  watch.see(Tensor::full({1}, std::nan("")), 0);
  ema_update(target, source, 0.5, &watch);
  CHECK(values(target) == between);
  ema_update(target, source, 0.0);
  CHECK(values(target) == between);
  target.matrix.value().fill(1e20);  // what is left of the source beside it is 0
  ema_update(target, source, 1.0);
  CHECK(values(target) == to);
}

TEST_CASE("the learning rate falls by steps and stops at the least") {
  const ExponentialDecay decay{1.0, 0.5, 100, 0.2};
  CHECK(decay.at(0) == 1.0);
  CHECK(decay.at(99) == 1.0);
  CHECK(decay.at(100) == 0.5);
  CHECK(decay.at(199) == 0.5);
  CHECK(decay.at(200) == 0.25);
  CHECK(decay.at(300) == 0.2);
  CHECK(decay.at(100'000'000) == 0.2);
  // A start below the least stays where it is.
  const ExponentialDecay low{0.1, 0.5, 100, 0.2};
  CHECK(low.at(0) == 0.1);
  CHECK(low.at(1000) == 0.1);
}
