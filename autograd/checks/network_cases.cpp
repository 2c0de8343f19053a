#include "autograd/checks/case_lists.h"
#include "autograd/ops.h"
#include "tensor/random.h"

namespace damc {

/// Images of distinct elements, none within a finite difference of another, so that no maximum changes place.
std::vector<OpCase> pooling_cases() {
  const Draw x{{2, 6, 7, 3}};
  const std::vector<std::pair<std::string, PoolOptions>> windows{
      {"2", {.kernel = 2}},
      {"3x3 stride 2", {.kernel = 3, .stride = 2}},
      {"3x3 stride 1, padding 1", {.kernel = 3, .stride = 1, .padding = 1}},
      {"3x3 stride 1, padding not counted",
       {.kernel = 3, .stride = 1, .padding = 1, .count_include_pad = false}},
      {"1x4 stride 2x3, padding 0x2", {.kernel = {1, 4}, .stride = Pair(2, 3), .padding = {0, 2}}},
      {"the whole image", {.kernel = {6, 7}}}};
  std::vector<OpCase> rows;
  for (const auto& [words, options] : windows) {
    rows.push_back(
        {"max_pool2d", words, {x}, [o = options](const Variables& v) { return max_pool2d(v[0], o); }});
    rows.push_back(
        {"avg_pool2d", words, {x}, [o = options](const Variables& v) { return avg_pool2d(v[0], o); }});
  }
  return rows;
}

std::vector<OpCase> norm_cases() {
  std::vector<OpCase> rows;
  for (const FusedActivation& activation : fused_activations()) {
    const Unary act = activation.f;
    // A normalised pixel of so few stays below 3 in size, so that this bias decides the sign of what
    // leaky_relu gets.
    const bool kink = act.op == UnaryOp::leaky_relu;
    const Draw x{{2, 3, 4, 3}}, w{{3}, 0.5, 1.0}, b = kink ? Draw{{3}, 3.0, 4.0, 0} : Draw{{3}, -0.5, 0.5};
    rows.push_back({"instance_norm", "eps 1e-5" + activation.words, {x, w, b}, [act](const Variables& v) {
                      return instance_norm(v[0], v[1], v[2], 1e-5, act);
                    }});
    rows.push_back({"instance_norm", "eps 0.1" + activation.words, {x, w, b}, [act](const Variables& v) {
                      return instance_norm(v[0], v[1], v[2], 0.1, act);
                    }});
  }
  const Draw x{{4, 3, 5}}, w{{5}, 0.5, 1.0}, b{{5}};
  rows.push_back(
      {"adaptive_instance_norm", "", {{{2, 3, 4, 3}}, {{2, 3}, 0.5, 1.0}, {{2, 3}}}, [](const Variables& v) {
         return adaptive_instance_norm(v[0], v[1], v[2]);
       }});
  rows.push_back(
      {"batch_norm", "", {x, w, b}, [](const Variables& v) { return batch_norm(v[0], v[1], v[2]); }});
  rows.push_back(
      {"layer_norm", "", {x, w, b}, [](const Variables& v) { return layer_norm(v[0], v[1], v[2]); }});
  return rows;
}

std::vector<OpCase> class_cases() {
  const Draw scores{{4, 5}};
  return {
      {"log_softmax", "one class", {{{3, 1}}}, [](const Variables& x) { return log_softmax(x[0]); }},
      {"upsample",
       "2x3",
       {{{2, 2, 3, 2}}},
       [](const Variables& x) {
         return upsample(x[0], {2, 3});
       }},
      {"dropout",
       "",
       {scores},
       [](const Variables& x) {
         Generator random(4, 0, x[0].device());
         return dropout(x[0], 0.4, random);
       }},
      {"cross_entropy",
       "classes",
       {scores},
       [](const Variables& x) {
         const Tensor classes = Tensor::from(std::vector<double>{1, 0, 4, 1}, {4}, x[0].device());
         return cross_entropy(x[0], classes.to(x[0].dtype()));
       }},
      {"cross_entropy",
       "shares",
       {scores},
       [](const Variables& x) {
         const Tensor shares = affine(Generator(3).uniform({4, 5}, x[0].dtype()), 0.2, 0.1);
         return cross_entropy(x[0], shares.to(x[0].device()));
       }},
  };
}

}  // namespace damc
