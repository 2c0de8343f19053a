/// Tensors and their operations on the CPU against naive loops in double: views, pointwise operations in
/// every combination of strides, sums, what goes wrong and how it says so, the memory pool, the
/// observer.
#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>
#include <string>
#include <vector>

#include "tensor/cpu/parallel.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/watch/trace.h"
#include "tests/messages.h"
#include "tests/naive.h"
#include "tests/worse.h"

using namespace damc;

namespace {

/// 0, 1, 2, ... in row-major order.
Tensor counting(const Shape& shape) {
  Values values(static_cast<std::size_t>(shape.numel()));
  std::iota(values.begin(), values.end(), 0.0);
  return Tensor::from(values, shape);
}

}  // namespace

TEST_CASE("views share memory and find the right elements") {
  const Tensor t = counting({2, 3, 4});
  const Tensor p = t.permute({2, 0, 1});
  CHECK(p.shape() == Shape{4, 2, 3});
  CHECK(p.raw() == t.raw());
  CHECK_FALSE(p.is_contiguous());
  CHECK(at(p, {3, 1, 2}) == 23.0);
  CHECK(p.to_vector<double>() == elements(p));
  CHECK(t.transpose(-1, 0).shape() == Shape{4, 3, 2});
  CHECK(at(t.transpose(-1, 0), {3, 2, 1}) == 23.0);
  const Tensor n = t.narrow(1, 1, 2).narrow(-1, 3, 1);
  CHECK(n.to_vector<double>() == Values{7, 11, 19, 23});
  CHECK(t.narrow(0, 1, 1).is_contiguous());
  const Tensor e = counting({3, 1}).expand({2, 3, 2});
  CHECK(e.to_vector<double>() == Values{0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2});
  CHECK(e.clone().strides() == Shape{6, 2, 1});

  p.narrow(0, 3, 1).fill(-1.0);
  CHECK(t.narrow(2, 2, 2).to_vector<double>() == Values{2, -1, 6, -1, 10, -1, 14, -1, 18, -1, 22, -1});
  p.narrow(0, 0, 2).copy_from(Tensor::from<float>({7.0f, 8.0f, 9.0f}, {3}));
  CHECK(t.narrow(0, 1, 1).to_vector<float>() == std::vector<float>{7, 7, 14, -1, 8, 8, 18, -1, 9, 9, 22, -1});
}

TEST_CASE("reshape is a view of a contiguous tensor and a copy of any other") {
  const Tensor t = counting({4, 6});
  CHECK(t.reshape({2, -1, 3}).raw() == t.raw());
  CHECK(t.reshape({2, -1, 3}).shape() == Shape{2, 4, 3});
  CHECK(t.narrow(0, 1, 2).reshape({12}).raw() == t.narrow(0, 1, 2).raw());
  const Tensor row = t.narrow(0, 1, 1);
  CHECK(row.transpose(0, 1).reshape({6}).raw() == row.raw());
  const Tensor copy = t.transpose(0, 1).reshape({3, 8});
  CHECK(copy.raw() != t.raw());
  CHECK(copy.to_vector<double>() == elements(t.transpose(0, 1)));
  CHECK(Tensor::full({}, 2.0).reshape({1, 1}).item() == 2.0);
  CHECK(counting({1}).reshape({}).ndim() == 0);
  CHECK(Tensor::empty({0, 3}).reshape({-1, 7}).shape() == Shape{0, 7});
}

TEST_CASE("types convert, counters do not") {
  const Tensor x = Tensor::from<double>({0.1, -2.5}, {2});
  CHECK(x.to_vector<float>() == std::vector<float>{0.1f, -2.5f});
  CHECK(x.to(Dtype::f32).to_vector<double>() == Values{double{0.1f}, -2.5});
  const Tensor i = Tensor::from<std::int64_t>({1, 2, 3, 4}, {2, 2});
  CHECK(i.transpose(0, 1).to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 3, 2, 4});
  CHECK(error_of([&] { i.to_vector<float>(); }) == "tensor: no conversion from i64 to f32");
  CHECK(error_of([&] { x.to_vector<std::int64_t>(); }) == "tensor: no conversion from f64 to i64");
  CHECK(error_of([&] { x.copy_from(i.narrow(0, 0, 1)); }) == "copy: no conversion from i64 to f64");
}

TEST_CASE("errors say which shapes do not fit") {
  const Tensor t = counting({2, 3}), u = counting({4, 2}), i = Tensor::zeros({2}, Dtype::i64);
  const Unary square{UnaryOp::square};
  CHECK(error_of([&] { t.item(); }) == "item: tensor of shape [2, 3] has 6 elements, not one");
  CHECK(error_of([&] { Tensor::empty({0}).item(); }) == "item: tensor of shape [0] has 0 elements, not one");
  CHECK(error_of([&] { t.reshape({4}); }) == "reshape: [2, 3] does not fit into [4]");
  CHECK(error_of([&] { t.reshape({-1, 4}); }) == "reshape: [2, 3] does not fit into [-1, 4]");
  CHECK(error_of([&] { Tensor::empty({0}).reshape({-1, 0}); }) == "reshape: [0] does not fit into [-1, 0]");
  CHECK(error_of([&] { t.reshape({-1, -1}); }) == "reshape: more than one -1 in [-1, -1]");
  CHECK(error_of([&] { t.reshape({-2, -3}); }) == "reshape: negative size in [-2, -3]");
  CHECK(error_of([&] { t.permute({0, 0}); }) == "permute: order [0, 0] for shape [2, 3]");
  CHECK(error_of([&] { t.transpose(0, 2); }) == "transpose: dimension 2 of shape [2, 3]");
  CHECK(error_of([&] { t.narrow(1, 2, 2); }) == "narrow: 2 elements from 2 of dimension 1 of shape [2, 3]");
  CHECK(error_of([&] { t.expand({2, 2, 2}); }) == "expand: [2, 3] to [2, 2, 2]");
  CHECK(error_of([&] { t.expand({3}); }) == "expand: [2, 3] to [3]");
  CHECK(error_of([&] { counting({1}).expand({-1}); }) == "expand: [1] to [-1]");
  CHECK(error_of([&] { Tensor::empty({-1}); }) == "tensor: negative size in [-1]");
  CHECK(error_of([&] { Tensor::from<float>({1.0f}, {2}); }) == "tensor: 1 values for shape [2]");
  CHECK(error_of([&] { Shape{1, 1, 1, 1, 1, 1, 1}; }) == "shape: more than 6 dimensions");
  CHECK(error_of([&] { add(t, u); }) == "add: shapes [2, 3] and [4, 2] do not broadcast");
  CHECK(error_of([&] { add(t, t.to(Dtype::f32)); }) == "add: types f64 and f32");
  CHECK(error_of([&] { add(i, i); }) == "add: types i64 and i64");
  CHECK(error_of([&] { add(t, Tensor()); }) == "add: undefined tensor");
  CHECK(error_of([&] { exp(i); }) == "exp: not for i64");
  CHECK(error_of([&] { unary_vjp(square, u, t, t); }) == "unary_vjp: shapes [4, 2], [2, 3], [2, 3]");
  CHECK(error_of([&] { sum(t, 2); }) == "sum: dimension 2 of shape [2, 3]");
  CHECK(error_of([&] { sum_to(t, {2}); }) == "sum_to: [2, 3] to [2]");
  CHECK(error_of([&] { cat({}, 0); }) == "cat: no tensors");
  CHECK(error_of([&] { cat({t, u}, 0); }) == "cat: shapes [2, 3] and [4, 2] along 0");
  CHECK(error_of([&] { cat({t, t}, 2); }) == "cat: dimension 2 of shape [2, 3]");
  CHECK(error_of([&] { matmul(t, u); }) == "matmul: a is [2, 3], b is [4, 2]");
  CHECK(error_of([&] { linear(t, u, {}); }) == "linear: input is [2, 3], weight is [4, 2]");
  CHECK(error_of([&] { linear(u, u, counting({3})); }) == "linear: bias [3] for 4 channels");
  CHECK(error_of([&] { linear(u, u, {}, {square}); }) == "linear: square cannot be fused into a product");
  CHECK(error_of([] { parse_device("gpu"); }).starts_with("unknown device 'gpu'\nhint: "));
  CHECK(error_of([] { parse_device("cuda:1x"); }).starts_with("unknown device"));
  CHECK(parse_device("cuda:3").str() == "cuda:3");
}

TEST_CASE("binary operations broadcast over every combination of strides") {
  const Shape shapes[][2] = {{{}, {}},
                             {{4}, {}},
                             {{3, 4}, {4}},
                             {{3, 1}, {1, 4}},
                             {{2, 3, 4}, {3, 1}},
                             {{1, 4}, {2, 3, 1}},
                             {{2, 1, 4}, {1, 3, 1}},
                             {{0, 3}, {3}},
                             {{90, 400}, {400}},
                             {{90, 400}, {90, 1}},
                             {{2, 1, 3, 1, 2}, {2, 1, 3, 1}}};
  const struct {
    BinaryOp op;
    double (*f)(double, double);
  } operations[] = {{BinaryOp::add, [](double a, double b) { return a + b; }},
                    {BinaryOp::sub, [](double a, double b) { return a - b; }},
                    {BinaryOp::mul, [](double a, double b) { return a * b; }},
                    {BinaryOp::div, [](double a, double b) { return a / b; }}};
  for (const Dtype dtype : float_types) {
    for (const auto& [left, right] : shapes) {
      const Shape shape = broadcast_shapes("test", left, right);
      for (const Tensor& a : layouts(normal(left, dtype))) {
        for (const Tensor& b : layouts(normal(right, dtype))) {
          for (const auto& operation : operations) {
            const auto op = operation.op;
            const auto f = operation.f;
            Values expected;
            for_each_index(shape, [&](const Shape& index) {
              const double exact = f(at(a, index), at(b, index));
              // Rounding a double result to float is the float result, for these four operations.
              expected.push_back(dtype == Dtype::f32 ? double{static_cast<float>(exact)} : exact);
            });
            for (const auto& [x, y, flip] : {std::tuple(a, b, false), std::tuple(b, a, true)}) {
              if (flip && (op == BinaryOp::sub || op == BinaryOp::div)) continue;
              const Tensor out = binary(op, x, y);
              CHECK(out.shape() == shape);
              CHECK(out.to_vector<double>() == expected);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("unary operations and their derivatives") {
  const struct {
    Unary op;
    double (*f)(double);
    bool positive;
  } operations[] = {
      {{UnaryOp::affine, 3.0, -2.0}, [](double x) { return 3.0 * x - 2.0; }, false},
      {{UnaryOp::exp}, [](double x) { return std::exp(x); }, false},
      {{UnaryOp::log}, [](double x) { return std::log(x); }, true},
      {{UnaryOp::sqrt}, [](double x) { return std::sqrt(x); }, true},
      {{UnaryOp::square}, [](double x) { return x * x; }, false},
      {{UnaryOp::reciprocal}, [](double x) { return 1.0 / x; }, true},
      {{UnaryOp::sin}, [](double x) { return std::sin(x); }, false},
      {{UnaryOp::cos}, [](double x) { return std::cos(x); }, false},
      {{UnaryOp::atan}, [](double x) { return std::atan(x); }, false},
      {{UnaryOp::tanh}, [](double x) { return std::tanh(x); }, false},
      {{UnaryOp::sigmoid}, [](double x) { return 1.0 / (1.0 + std::exp(-x)); }, false},
      {{UnaryOp::softplus}, [](double x) { return std::log1p(std::exp(x)); }, false},
      {{UnaryOp::silu}, [](double x) { return x / (1.0 + std::exp(-x)); }, false},
      {{UnaryOp::leaky_relu, 0.2}, [](double x) { return x > 0.0 ? x : 0.2 * x; }, false},
      {{UnaryOp::clamp, -1.0, 0.5}, [](double x) { return std::fmin(std::fmax(x, -1.0), 0.5); }, false},
  };
  for (const Dtype dtype : float_types) {
    for (const auto& operation : operations) {
      const Unary op = operation.op;
      const auto f = operation.f;
      const bool positive = operation.positive;
      CAPTURE(static_cast<int>(op.op));
      const Tensor sample = affine(normal({5, 7, 2}, dtype), 3.0, 0.0);
      const Tensor values = positive ? add(square(sample), 0.1) : sample, g = normal({5, 1, 2}, dtype);
      Values expected, slopes;
      for_each_index(values.shape(), [&](const Shape& index) {
        const double x = at(values, index), h = 1e-5;
        expected.push_back(f(x));
        slopes.push_back(at(g, index) * (f(x + h) - f(x - h)) / (2.0 * h));
      });
      for (const Tensor& x : layouts(values)) {
        const Tensor y = unary(op, x), slope = unary_vjp(op, g.expand(x.shape()), x, y);
        check_near(y.to_vector<double>(), expected, dtype == Dtype::f32 ? 3e-7 : 1e-15);
        check_near(slope.to_vector<double>(), slopes, dtype == Dtype::f32 ? 2e-6 : 1e-8);
      }
    }
  }
}

TEST_CASE("unary operations at special points") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const struct {
    Unary op;
    double x, y, slope;
  } points[] = {
      {{UnaryOp::exp}, 1000, inf, inf},
      {{UnaryOp::exp}, -1000, 0, 0},
      {{UnaryOp::log}, 0, -inf, inf},
      {{UnaryOp::log}, -1, nan, -1},
      {{UnaryOp::sqrt}, -1, nan, nan},
      {{UnaryOp::reciprocal}, 0, inf, -inf},
      {{UnaryOp::atan}, -inf, -std::atan(inf), 0},
      {{UnaryOp::tanh}, 100, 1, 0},
      {{UnaryOp::tanh}, -inf, -1, 0},
      {{UnaryOp::sigmoid}, 1000, 1, 0},
      {{UnaryOp::sigmoid}, -1000, 0, 0},
      {{UnaryOp::softplus}, 1000, 1000, 1},
      {{UnaryOp::softplus}, -50, std::exp(-50.0), std::exp(-50.0)},
      {{UnaryOp::softplus}, -1000, 0, 0},
      {{UnaryOp::silu}, 1000, 1000, 1},
      {{UnaryOp::silu}, -1000, 0, 0},
      {{UnaryOp::leaky_relu, 0.25}, 0, 0, 0.25},
      {{UnaryOp::leaky_relu, -0.25}, -8, 2, -0.25},
      {{UnaryOp::clamp, -1, 1}, 1, 1, 0},
      {{UnaryOp::clamp, -1, 1}, -1, -1, 0},
      {{UnaryOp::clamp, -1, 1}, 1.5, 1, 0},
      {{UnaryOp::clamp, -1, 1}, nan, nan, 0},
  };
  const auto same = [](double a, double b) {
    return a == b || (std::isnan(a) && std::isnan(b)) || std::fabs(a - b) <= 1e-6 * std::fabs(b);
  };
  for (const Dtype dtype : float_types) {
    for (const auto& point : points) {
      CAPTURE(name(point.op));
      CAPTURE(point.x);
      const Tensor x = Tensor::full({}, point.x, dtype), y = unary(point.op, x);
      CHECK(same(y.item(), point.y));
      CHECK(same(unary_vjp(point.op, Tensor::full({}, 1.0, dtype), x, y).item(), point.slope));
    }
  }
}

TEST_CASE("f32 exp and tanh are exact to 2 units in the last place, and keep NaN") {
  const std::int64_t n = 200'001;
  Values grid(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < grid.size(); ++i) grid[i] = -87.3 + 176.0 * static_cast<double>(i) / n;
  const Tensor x = Tensor::from(grid, {n}).to(Dtype::f32);
  const Values points = x.to_vector<double>(), e = exp(x).to_vector<double>(),
               t = tanh(x).to_vector<double>();
  double worst_exp = 0.0, worst_tanh = 0.0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double exact_exp = std::exp(points[i]), exact_tanh = std::tanh(points[i]);
    worst_exp = worse(worst_exp, std::fabs(e[i] / exact_exp - 1.0));
    if (points[i] != 0.0) worst_tanh = worse(worst_tanh, std::fabs(t[i] / exact_tanh - 1.0));
  }
  CHECK(worst_exp < 0x1p-22);
  CHECK(worst_tanh < 0x1p-22);
  for (const UnaryOp op : {UnaryOp::exp, UnaryOp::tanh, UnaryOp::sigmoid, UnaryOp::softplus, UnaryOp::silu}) {
    for (const float payload : {std::nanf(""), std::nanf("1"), -std::nanf("511")})
      CHECK(std::isnan(unary({op}, Tensor::from<float>({payload}, {})).item()));
  }
}

TEST_CASE("f32 sine and cosine of turns are exact to 2^-23, and NaN where there is no angle") {
  const std::int64_t n = 200'001;
  Values grid(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < grid.size(); ++i) grid[i] = -1000.0 + 2000.0 * static_cast<double>(i) / n;
  grid.insert(grid.end(), {0.0, 0.125, 0.25, 0.375, 0.5, 0.75, -0.625, 1e-30, 3e6, 1e9, -1e30});
  const Tensor t = Tensor::from(grid, {static_cast<std::int64_t>(grid.size()), 1}).to(Dtype::f32);
  const Values turns = t.to_vector<double>(),
               y = fourier_features(t, Tensor::full({1, 1}, 1.0)).to_vector<double>();
  double worst = 0.0;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const double angle = 2.0 * std::numbers::pi * (turns[i] - std::rint(turns[i]));
    worst = worse(worst, std::fabs(y[3 * i] - std::sin(angle)));
    worst = worse(worst, std::fabs(y[3 * i + 1] - std::cos(angle)));
  }
  CHECK(worst < 0x1p-23);
  for (const float none : {std::nanf(""), HUGE_VALF}) {
    const Values features =
        fourier_features(Tensor::full({1, 1}, none), Tensor::full({1, 1}, 1.0)).to_vector<double>();
    CHECK(std::isnan(features[0]));
    CHECK(std::isnan(features[1]));
  }
}

TEST_CASE("sums over everything and over one dimension") {
  // At every length and direction an f32 sum is within 1e-6 of the sum of magnitudes.
  const Shape shapes[] = {{},           {0},        {1},        {7},         {100003},          {3, 5, 7},
                          {0, 3},       {3, 0, 2},  {2, 20011}, {20011, 2},  {300, 301, 3},     {5, 4096, 65},
                          {2, 3, 1, 4}, {1, 50000}, {50000, 1}, {3, 70, 64}, {1, 1, 1, 1, 1, 1}};
  for (const Dtype dtype : float_types) {
    const double tolerance = dtype == Dtype::f32 ? 1e-6 : 1e-12;
    for (const Shape& shape : shapes) {
      CAPTURE(shape.str());
      // Numbers of one sign are the hard case: the partial sums grow.
      const Tensor x = add(normal(shape, dtype), 3.0);
      const Values values = x.to_vector<double>();
      double total = 0.0, squares = 0.0;
      for (const double v : values) {
        total += v;
        squares += v * v;
      }
      CHECK(std::fabs(sum(x).item() - total) <= tolerance * total);
      CHECK(std::fabs(sum_squares(x).item() - squares) <= tolerance * squares);
      for (int dim = 0; dim < x.ndim(); ++dim) {
        Shape kept = shape;
        kept[dim] = 1;
        const Values sums = sum(x, dim).to_vector<double>();
        CHECK(sum(x, dim - x.ndim()).to_vector<double>() == sums);
        CHECK(sum(x.transpose(0, dim), 0).numel() == kept.numel());
        Values expected(static_cast<std::size_t>(kept.numel()));
        const std::int64_t inner = shape.contiguous_strides()[dim], span = inner * shape[dim];
        for (std::int64_t i = 0; i < x.numel(); ++i) {
          expected[static_cast<std::size_t>(i / span * inner + i % inner)] +=
              values[static_cast<std::size_t>(i)];
        }
        check_near(sums, expected, tolerance);
      }
    }
  }
}

TEST_CASE("sum_to is the adjoint of expand") {
  const Shape full{2, 3, 4, 5};
  const Tensor values = normal(full, Dtype::f64);
  for (const Tensor& x : layouts(values)) {
    for (unsigned mask = 0; mask < 16; ++mask) {
      for (int dropped = 0; dropped <= 4 && (mask & ((1u << dropped) - 1)) == (1u << dropped) - 1;
           ++dropped) {
        Shape shape;
        for (int d = dropped; d < 4; ++d) shape.push_back(mask >> d & 1 ? 1 : full[d]);
        CAPTURE(shape.str());
        const Tensor expected = Tensor::zeros(shape, Dtype::f64);
        for_each_index(full, [&](const Shape& index) {
          std::int64_t offset = 0;
          for (int d = 0; d < shape.ndim(); ++d) {
            if (shape[d] != 1) offset += expected.strides()[d] * index[dropped + d];
          }
          expected.data<double>()[offset] += at(x, index);
        });
        const Tensor sums = sum_to(x, shape);
        CHECK(sums.shape() == shape);
        check_near(sums.to_vector<double>(), elements(expected), 1e-14);
      }
    }
  }
}

TEST_CASE("cat along every dimension, of strided and empty parts") {
  for (int dim = 0; dim < 3; ++dim) {
    std::vector<Tensor> parts;
    for (const std::int64_t size : {2, 0, 1, 5}) {
      Shape shape{3, 2, 4};
      shape[dim] = size;
      const auto same = layouts(normal(shape));
      parts.insert(parts.end(), same.begin(), same.end());
    }
    const Tensor out = cat(parts, dim - 3);
    CHECK(out.size(dim) == 24);
    std::int64_t start = 0;
    for (const Tensor& part : parts) {
      CHECK(elements(out.narrow(dim, start, part.size(dim))) == elements(part));
      start += part.size(dim);
    }
  }
}

TEST_CASE("the pool takes memory back and hands it out again") {
  const Backend& cpu = backend({});
  const auto step = [] {
    const Tensor x = normal({64, 100}), w = normal({50, 100});
    return sum(tanh(linear(x, w, normal({50})))).item();
  };
  step();
  const std::size_t in_use = cpu.bytes_in_use(), reserved = cpu.bytes_reserved();
  for (int i = 0; i < 100; ++i) step();
  CHECK(cpu.bytes_in_use() == in_use);
  CHECK(cpu.bytes_reserved() == reserved);
  {
    const Tensor held = Tensor::empty({1000, 1000});
    CHECK(cpu.bytes_in_use() >= in_use + 4'000'000);
    CHECK(cpu.bytes_in_use() <= in_use + 5'000'000);
    CHECK(reinterpret_cast<std::uintptr_t>(held.raw()) % 64 == 0);
    const Tensor view = held.narrow(0, 10, 10);
  }
  CHECK(cpu.bytes_in_use() == in_use);
  const std::size_t after = cpu.bytes_reserved();
  CHECK(Tensor::empty({999, 1000}).defined());
  CHECK(cpu.bytes_reserved() == after);
}

TEST_CASE("an exception of one task leaves the parallel region, after the others have ended") {
  std::atomic<int> ended = 0;
  const auto task = [&](std::int64_t i) {
    if (i == 7) throw Error("task 7");
    ++ended;
  };
  CHECK_THROWS_WITH_AS(parallel_tasks(20, task), "task 7", Error);
  CHECK(ended == 19);
}

TEST_CASE("an observer sees every kernel, and only while it stands in") {
  Backend& cpu = backend({});
  std::map<std::string, int> calls;
  Tensor kept;
  {
    const BackendOverride watch({}, std::make_unique<ObservedBackend>(
                                        cpu, [&](const char* name, const Tensor& out, const auto& call) {
                                          CHECK(out.defined());
                                          ++calls[name];
                                          call();
                                        }));
    CHECK(&backend({}) != &cpu);
    kept = matmul(Tensor::full({2, 3}, 1.0), Tensor::full({3, 2}, 2.0));
    sum(tanh(add(kept, kept)));
  }
  CHECK(&backend({}) == &cpu);
  exp(kept);
  CHECK(calls ==
        std::map<std::string, int>{{"fill", 2}, {"gemm", 1}, {"binary", 1}, {"unary", 1}, {"sum", 1}});
  CHECK(kept.to_vector<double>() == Values{6, 6, 6, 6});
}

TEST_CASE("DAMC_TRACE asks for a trace; without it there is none") {
  const char* given = std::getenv("DAMC_TRACE");
  const std::string before = given ? given : "";
  ::unsetenv("DAMC_TRACE");
  CHECK_FALSE(trace_requested());
  for (const auto& [value, expected] : std::map<std::string, bool>{{"", false}, {"0", false}, {"1", true}}) {
    ::setenv("DAMC_TRACE", value.c_str(), 1);
    CHECK(trace_requested() == expected);
  }
  ::setenv("DAMC_TRACE", before.c_str(), 1);
}
