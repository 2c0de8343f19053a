#include "autograd/checks/case_lists.h"
#include "autograd/ops.h"

namespace damc {

std::vector<OpCase> unary_cases() {
  const Draw any{{3, 5}}, positive{{3, 5}, 0.4, 2.0}, off_zero{{3, 5}, 0.4, 2.0, 1};
  return {
      {"identity", "", {any}, [](const Variables& x) { return unary({}, x[0]); }},
      {"affine", "", {any}, [](const Variables& x) { return affine(x[0], 1.7, -0.3); }},
      {"affine", "x c", {any}, [](const Variables& x) { return mul(x[0], 0.7); }},
      {"affine", "c x", {any}, [](const Variables& x) { return -1.3 * x[0]; }},
      {"affine", "x + c", {any}, [](const Variables& x) { return add(x[0], 0.7); }},
      {"affine", "-x", {any}, [](const Variables& x) { return -x[0]; }},
      {"affine", "operators", {any}, [](const Variables& x) { return 1.0 - (x[0] / 4.0 - 0.3 + 2.0) * 0.7; }},
      {"exp", "", {any}, [](const Variables& x) { return exp(x[0]); }},
      {"log", "", {positive}, [](const Variables& x) { return log(x[0]); }},
      {"sqrt", "", {positive}, [](const Variables& x) { return sqrt(x[0]); }},
      {"square", "", {any}, [](const Variables& x) { return square(x[0]); }},
      {"reciprocal", "", {off_zero}, [](const Variables& x) { return reciprocal(x[0]); }},
      {"sin", "", {any}, [](const Variables& x) { return sin(x[0]); }},
      {"cos", "", {any}, [](const Variables& x) { return cos(x[0]); }},
      {"atan", "", {any}, [](const Variables& x) { return atan(x[0]); }},
      {"reciprocal", "c / x", {off_zero}, [](const Variables& x) { return 2.0 / x[0]; }},
      {"erf", "", {any}, [](const Variables& x) { return erf(x[0]); }},
      {"gelu", "", {any}, [](const Variables& x) { return gelu(x[0]); }},
      {"abs", "", {off_zero}, [](const Variables& x) { return abs(x[0]); }},
      {"pow", "3", {off_zero}, [](const Variables& x) { return pow(x[0], 3.0); }},
      {"pow", "-0.7", {positive}, [](const Variables& x) { return pow(x[0], -0.7); }},
      {"tanh", "", {any}, [](const Variables& x) { return tanh(x[0]); }},
      {"sigmoid", "", {any}, [](const Variables& x) { return sigmoid(x[0]); }},
      {"softplus", "", {any}, [](const Variables& x) { return softplus(x[0]); }},
      {"silu", "", {any}, [](const Variables& x) { return silu(x[0]); }},
      {"leaky_relu", "", {off_zero}, [](const Variables& x) { return leaky_relu(x[0], 0.2); }},
      {"leaky_relu", "relu", {off_zero}, [](const Variables& x) { return relu(x[0]); }},
      {"leaky_relu", "falling", {off_zero}, [](const Variables& x) { return leaky_relu(x[0], -0.2); }},
      {"clamp", "from below", {off_zero}, [](const Variables& x) { return clamp(x[0], -0.3, 3.0); }},
      {"clamp", "from above", {off_zero}, [](const Variables& x) { return clamp(x[0], -3.0, 0.3); }},
      {"greater", "times x", {off_zero}, [](const Variables& x) { return x[0] * greater(x[0], 0.2); }},
  };
}

std::vector<OpCase> selection_cases() {
  const Draw x{{3, 5}}, row{{5}, 0.5, 2.0, 0};
  return {
      {"gt", "times x", {x, row}, [](const Variables& v) { return v[0] * gt(v[0].value(), v[1].value()); }},
      {"eq",
       "times x",
       {x, row},
       [](const Variables& v) { return v[0] * (1.0 - eq(v[0].value(), v[1].value())); }},
      {"masked", "", {x}, [](const Variables& v) { return masked(v[0], greater(v[0].value(), 0.2)); }},
      {"masked",
       "x broadcast",
       {row, x},
       [](const Variables& v) { return masked(v[0], greater(v[1].value(), 0.2)) * v[1]; }},
      {"where",
       "",
       {x, row},
       [](const Variables& v) { return where(greater(v[0].value(), 0.2), v[0], v[1]); }},
  };
}

std::vector<OpCase> binary_cases() {
  struct Pattern {
    std::string words;
    Shape a, b;
  };
  const std::vector<Pattern> patterns{{"same shape", {2, 3, 4}, {2, 3, 4}}, {"scalar right", {2, 3}, {}},
                                      {"scalar left", {}, {2, 3}},          {"row right", {2, 3, 4}, {4}},
                                      {"row left", {4}, {2, 3, 4}},         {"column", {2, 3, 4}, {2, 3, 1}},
                                      {"middle", {2, 3, 4}, {2, 1, 4}},     {"outer", {3, 1}, {1, 4}},
                                      {"crossed", {2, 1, 4}, {3, 1}},       {"one of one", {1, 1}, {1}}};
  std::vector<OpCase> rows;
  for (const Pattern& p : patterns) {
    const std::vector<Draw> inputs{{p.a}, {p.b, 0.5, 2.0, p.b.ndim() - 1}};
    rows.push_back({"add", p.words, inputs, [](const Variables& x) { return x[0] + x[1]; }});
    rows.push_back({"sub", p.words, inputs, [](const Variables& x) { return x[0] - x[1]; }});
    rows.push_back({"mul", p.words, inputs, [](const Variables& x) { return x[0] * x[1]; }});
    rows.push_back({"div", p.words, inputs, [](const Variables& x) { return x[0] / x[1]; }});
    rows.push_back({"maximum", p.words, inputs, [](const Variables& x) { return maximum(x[0], x[1]); }});
    rows.push_back({"minimum", p.words, inputs, [](const Variables& x) { return minimum(x[0], x[1]); }});
  }
  return rows;
}

}  // namespace damc
