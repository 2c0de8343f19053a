/// gradcheck: what it finds, where it says that it is, and what it does not mistake for a fault; the table of `damc
/// gradcheck` when a gradient is wrong.
#include <doctest/doctest.h>

#include <limits>

#include "autograd/checks/op_cases.h"
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "tensor/error.h"
#include "tensor/random.h"
#include "tests/messages.h"
#include "tools/gradient_table.h"

using namespace damc;

namespace {

using Doubles = std::vector<double>;

Tensor row(const Doubles& values) { return Tensor::from(values, {static_cast<std::int64_t>(values.size())}); }

/// x^3 as a user would write it, with the factor of its derivative open so that a test can get it wrong.
Variable cube(const Variable& x, double factor = 3.0) {
  const Tensor v = x.value();
  return record("cube", mul(v, square(v)),
                {{x, [v, factor](const Tensor& g) { return mul(mul(g, square(v)), factor); }}});
}

/// x, its gradient scaled element by element.
Variable scaled_gradient(const Variable& x, const Tensor& factors) {
  return record("scaled", x.value(), {{x, [factors](const auto& g) { return mul(g, factors); }}});
}

Variable first_plus_cube(const Variables& v, double factor) { return v[0] + cube(v[1], factor); }

const std::vector<Tensor> inputs{row({0.7, -1.2}), row({1.5, 0.4})};

}  // namespace

TEST_CASE("a right gradient passes, with the place of the largest error") {
  const GradcheckResult right = gradcheck([](const Variables& v) { return first_plus_cube(v, 3.0); }, inputs);
  CHECK(right.ok);
  CHECK(right.worst < 1e-9);
  CHECK(right.message.empty());
  CHECK(right.place.starts_with("element ["));
  CHECK(gradcheck([](const Variables& v) { return greater(v[0], 0.0); }, inputs).ok);  // a constant
}

TEST_CASE("a wrong one fails, with input, element and both values") {
  const GradcheckResult wrong =
      gradcheck([](const Variables& v) { return sum(first_plus_cube(v, 3.3)) * sum(v[0]); }, inputs);
  CHECK_FALSE(wrong.ok);
  CHECK_FALSE(wrong.kink);
  CHECK(wrong.input == 1);
  CHECK(wrong.place == "element [0]");
  CHECK(wrong.analytic / wrong.numeric == doctest::Approx(1.1).epsilon(1e-6));
  CHECK(contains(wrong.message, "input 1 of shape [2], element [0]: analytic "));
  CHECK(contains(wrong.message, "relative error 0.0909"));
  CHECK_FALSE(gradcheck([](const Variables& v) { return exp(v[0].detach()); }, inputs).ok);
}

TEST_CASE("the worst error is told, not the first") {
  const std::vector<Tensor> two{inputs[0], Tensor::from(Doubles{1.5, 0.4, 1.0, 1.0}, {2, 2})};
  const auto off_by = [](const Doubles& factors) {
    return [=](const Variables& v) {
      return sum(cube(v[0], 3.0003)) + sum(scaled_gradient(v[1], Tensor::from(factors, {2, 2})));
    };
  };
  const GradcheckResult wrong = gradcheck(off_by({1.0, 1.0, 3.0, 1.5}), two);
  CHECK(contains(wrong.message, "input 1 of shape [2, 2], element [1, 0]: "));
  CHECK(wrong.worst == doctest::Approx(2.0 / 3.0));
  CHECK(contains(gradcheck(off_by({1.0, 1.0, 1.0, 1.0}), two).message, "input 0 of shape [2], element ["));
}

TEST_CASE("one wrong element of many is found") {
  Doubles factors(10'000, 1.0);
  factors[4321] = 1.01;
  const Tensor slightly_off = Tensor::from(factors, {100, 100});
  const GradcheckResult wrong =
      gradcheck([&](const Variables& v) { return sin(scaled_gradient(v[0], slightly_off)); },
                {Generator(9).normal({100, 100}, Dtype::f64)});
  CHECK_FALSE(wrong.ok);
  CHECK(contains(wrong.message, "input 0 of shape [100, 100], element [43, 21]: "));
}

TEST_CASE("what is not a number fails") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const GradcheckResult wrong = gradcheck([](const Variables& v) { return first_plus_cube(v, nan); }, inputs);
  CHECK_FALSE(wrong.ok);
  CHECK(contains(wrong.message, "input 1"));
  const GradcheckResult edge = gradcheck([](const Variables& v) { return sqrt(v[0]); }, {row({0.0, 1.0})});
  CHECK_FALSE(edge.ok);
  CHECK_FALSE(edge.kink);
  CHECK(contains(edge.message, "element [0]: "));
}

TEST_CASE("steps are relative: inputs may be of any size") {
  const auto passes = [](const std::function<Variable(const Variables&)>& f, const Doubles& x) {
    const GradcheckResult result = gradcheck(f, {row(x)});
    CHECK_MESSAGE(result.ok, result.message);
  };
  passes([](const Variables& v) { return log(v[0]); }, {1e-4, 1e-9, 3e-5});
  passes([](const Variables& v) { return log(v[0]); }, {1e-4, 1.0, 300.0});
  passes([](const Variables& v) { return square(v[0]); }, {1e12, -3e11});
  passes([](const Variables& v) { return reciprocal(v[0]); }, {1e-6, 1e6});
  passes([](const Variables& v) { return exp(v[0]); }, {0.0, 0.0});
  passes([](const Variables& v) { return exp(v[0]); }, {0.0, 1.0, -1e-13});
  passes([](const Variables& v) { return sin(mul(v[0], 300.0)); }, {1.0, 0.3});
  // and a wrong one is not made right by any of them
  for (const double size : {1e-9, 1e-3, 1.0, 1e12})
    CHECK_FALSE(gradcheck([](const Variables& v) { return cube(v[0], 3.0001); }, {row({size, -size})}).ok);
}

TEST_CASE("a kink is told from a mistake") {
  const auto at = [](double slope, const Doubles& x) {
    return gradcheck([slope](const Variables& v) { return leaky_relu(v[0], slope); }, {row(x)});
  };
  const GradcheckResult kink = at(0.0, {1.0, 0.0, -2.0});
  CHECK_FALSE(kink.ok);
  CHECK(kink.kink);
  CHECK(contains(kink.message, "element [1]: "));
  CHECK(contains(kink.message, "a kink: 0 from "));
  CHECK(at(0.2, {0.0, 1.0}).kink);
  CHECK(at(0.0, {1.0, 3e-3, -2.0}).ok);  // near one, but not at it
  const GradcheckResult mistake = gradcheck(
      [](const Variables& v) {
        return relu(scaled_gradient(v[0], row({2.0, 1.0})));
      },
      {row({1.0, -2.0})});
  CHECK_FALSE(mistake.ok);
  CHECK_FALSE(mistake.kink);
}

TEST_CASE("what gradcheck refuses") {
  const auto f = [](const Variables& v) { return square(v[0]); };
  CHECK(contains(error_of([&] { gradcheck(f, {Tensor::zeros({2}, Dtype::f32)}); }), "f64"));
  CHECK(contains(
      error_of([&] { gradcheck([](const Variables& v) { return cast(v[0], Dtype::f32); }, inputs); }),
      "gradcheck: f of f64 inputs gives f32"));
  CHECK_THROWS_AS(gradcheck(f, {}), Error);
  const auto unsummed = [](const Variables& v) {
    return record("product", mul(v[0].value(), v[1].value()),
                  {{v[0], [b = v[1].value()](const Tensor& g) { return mul(g, b); }},
                   {v[1], [a = v[0].value()](const Tensor& g) { return mul(g, a); }}});
  };
  CHECK_THROWS_AS(gradcheck(unsummed, {inputs[0], row({2.0})}), Error);
}

TEST_CASE("damc gradcheck: a mistake is one operation's, with the case and the place") {
  const auto square_of = [](double factor) {
    return [factor](const Variables& v) {
      return square(scaled_gradient(v[0], Tensor::full({2, 3}, factor, v[0].dtype())));
    };
  };
  const Draw x{{2, 3}, 0.5, 1.5};
  std::vector<OpCase> rows{{"right", "", {x}, square_of(1.0)},
                           {"wrong", "here", {x}, square_of(1.0)},
                           {"right", "again", {x}, square_of(1.0)}};
  std::vector<std::string> lines;
  const auto show = [&](const std::string& line) { lines.push_back(line); };
  CHECK(check_gradients(rows, Device{}, show) == 0);
  REQUIRE(lines.size() == 4);
  CHECK(contains(lines[3], "2 operations and layers, 3 cases on cpu in "));
  CHECK(contains(lines[3], ": all passed"));

  lines.clear();
  rows[1].f = square_of(1.5);
  CHECK(check_gradients(rows, Device{}, show) == 1);
  REQUIRE(lines.size() == 6);
  CHECK(contains(lines[1], "passed"));
  CHECK(lines[2].starts_with("wrong"));
  CHECK(contains(lines[2], "FAILED"));
  CHECK(contains(lines[2], "here: input 0, element ["));
  CHECK(contains(lines[3], "    wrong: here: input 0 of shape [2, 3], element ["));
  CHECK(contains(lines[3], "relative error 0.333"));
  CHECK(contains(lines[4], "    wrong: here, second derivative: input 0 of shape [2, 3], element ["));
  CHECK(contains(lines[5], ": 1 FAILED"));

  lines.clear();
  rows[1].f = [](const Variables& v) {  // right in f64 only
    return v[0].dtype() == Dtype::f64 ? square(v[0]) : affine(square(v[0]), 1.0, 1e-3);
  };
  CHECK(check_gradients(rows, Device{}, show) == 1);
  CHECK(contains(lines[3], "wrong: here: in f32 a value or gradient is off by "));
}
