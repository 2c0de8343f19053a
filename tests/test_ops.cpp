/// Every row of the table of operations in every mode that needs no second device:
///
///   grad       all gradients against finite differences, in f64
///   twice      second derivatives
///   skip       asking for one gradient gives the same numbers and runs no more kernels than asking for all
///   views      inputs that are views with another order in memory change nothing
///   precision  f32 values and gradients against f64
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "autograd/checks/op_cases.h"
#include "autograd/grad.h"
#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "tensor/error.h"
#include "tensor/print.h"
#include "tensor/random.h"
#include "tensor/record.h"
#include "tests/kernel_log.h"
#include "tests/messages.h"

using namespace damc;

namespace {

/// What one forward and backward pass of a row gives, and the kernels of the backward pass.
struct Pass {
  Tensor value;
  std::vector<Tensor> gradients;
  std::vector<KernelLog::Call> calls;

  std::int64_t calls_that_write(const Shape& shape) const {
    return std::count_if(calls.begin(), calls.end(), [&](const auto& call) { return call.out == shape; });
  }
  std::int64_t calls_of(const std::string& kernel) const {
    return std::count_if(calls.begin(), calls.end(), [&](const auto& call) { return call.kernel == kernel; });
  }
};

/// All inputs are leaves; gradients of sum(y c), c random, are taken for those that `asked` lists.
Pass run(const OpCase& row, const std::vector<Tensor>& inputs, const std::vector<std::size_t>& asked) {
  Variables leaves, xs;
  for (const Tensor& input : inputs) leaves.emplace_back(input, true);
  for (const std::size_t k : asked) xs.push_back(leaves[k]);
  const Variable y = row.f(leaves);
  const Tensor c = Generator(5).normal(y.shape(), y.dtype());
  KernelLog log;
  std::vector<Tensor> gradients = grad(y, xs, c);
  return {y.value(), std::move(gradients), log.calls};
}

Pass run(const OpCase& row, const std::vector<Tensor>& inputs) {
  std::vector<std::size_t> all(inputs.size());
  for (std::size_t k = 0; k < all.size(); ++k) all[k] = k;
  return run(row, inputs, all);
}

/// The same tensor, stored with its dimensions in reverse order.
Tensor reversed_in_memory(const Tensor& t) {
  Shape order;
  for (int d = t.ndim() - 1; d >= 0; --d) order.push_back(d);
  return t.permute(order).clone().permute(order);
}

constexpr UnaryOp unary_ops[] = {
#define X(op) UnaryOp::op,
    DAMC_UNARY_OPS(X)
#undef X
};
constexpr BinaryOp binary_ops[] = {
#define X(op) BinaryOp::op,
    DAMC_BINARY_OPS(X)
#undef X
};

/// Notes which functors run.
class FunctorLog final : public ObservedBackend {
 public:
  FunctorLog(Backend& inner, std::set<std::string>& seen)
      : ObservedBackend(inner, [](const char*, const Tensor&, const auto& call) { call(); }), seen_(seen) {}
  void unary(const Unary& f, const Tensor& x, const Tensor& out) override {
    seen_.insert(name(f.op));
    ObservedBackend::unary(f, x, out);
  }
  void binary(BinaryOp f, const Tensor& a, const Tensor& b, const Tensor& out) override {
    seen_.insert(name(f));
    ObservedBackend::binary(f, a, b, out);
  }

 private:
  std::set<std::string>& seen_;
};

/// Whether a row of that name exists and its function really runs that functor.
bool has_row(const std::string& functor) {
  return std::any_of(op_cases().begin(), op_cases().end(), [&](const OpCase& row) {
    if (row.op != functor) return false;
    const std::vector<Tensor> inputs = make_inputs(row, Dtype::f32);
    std::set<std::string> seen;
    const BackendOverride watch(Device{}, std::make_unique<FunctorLog>(backend(Device{}), seen));
    row.f(Variables(inputs.begin(), inputs.end()));
    return seen.count(functor) > 0;
  });
}

}  // namespace

TEST_CASE("every functor has a row") {
  for (const UnaryOp op : unary_ops)
    CHECK_MESSAGE(has_row(name(op)), "no row for the unary functor ", name(op));
  for (const BinaryOp op : binary_ops)
    CHECK_MESSAGE(has_row(name(op)), "no row for the binary functor ", name(op));
  CHECK_FALSE(has_row("no such functor"));
}

TEST_CASE("grad") {
  for (const OpCase& row : op_cases()) {
    const GradcheckResult result = gradcheck(row.f, make_inputs(row, Dtype::f64));
    CHECK_MESSAGE(result.ok, row.name(), ": ", result.message);
    CHECK(result.worst < 1e-6);
  }
}

TEST_CASE("twice") {
  for (const OpCase& row : op_cases()) {
    const GradcheckResult result = gradgradcheck(row.f, make_inputs(row, Dtype::f64));
    CHECK_MESSAGE(result.ok, row.name(), ": ", result.message);
  }
}

TEST_CASE("skip") {
  for (const OpCase& row : op_cases()) {
    CAPTURE(row.name());
    const std::vector<Tensor> inputs = make_inputs(row, Dtype::f64);
    const Pass full = run(row, inputs);
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      CAPTURE(k);
      const Pass one = run(row, inputs, {k});
      CHECK(one.gradients[0].to_vector<double>() == full.gradients[k].to_vector<double>());
      CHECK(one.calls.size() <= full.calls.size());
    }
  }
}

TEST_CASE("skip: a product's input gradient runs no weight-gradient kernel") {
  const std::set<std::string> products{"matmul", "linear", "conv2d", "conv_transpose2d"};
  for (const OpCase& row : op_cases()) {
    // One that is broadcast has its gradient summed over all matrices.
    if (!products.count(row.op) || row.variant.starts_with("broadcast")) continue;
    CAPTURE(row.name());
    const std::vector<Tensor> inputs = make_inputs(row, Dtype::f64);
    const Shape weight = inputs[1].shape();
    const Pass full = run(row, inputs), one = run(row, inputs, {0});
    CHECK(full.calls_that_write(weight) == 1);
    CHECK(one.calls_that_write(weight) == 0);
    CHECK(full.calls_of("conv2d_grad_w") == (row.op.starts_with("conv") ? 1 : 0));
    CHECK(one.calls_of("conv2d_grad_w") == 0);
    CHECK(one.calls.size() < full.calls.size());
  }
}

TEST_CASE("skip: what the gradients of one operation share is computed once") {
  const std::set<std::string> sharing{"linear", "conv2d", "conv_transpose2d", "instance_norm"};
  for (const OpCase& row : op_cases()) {
    if (!sharing.count(row.op)) continue;
    CAPTURE(row.name());
    const Pass full = run(row, make_inputs(row, Dtype::f64));
    const bool activated = row.variant.ends_with("relu") || row.variant.ends_with("tanh");
    CHECK(full.calls_of("unary_vjp") == (activated ? 1 : 0));
    CHECK(full.calls_of("instance_norm_sums") == (row.op == "instance_norm" ? 1 : 0));
  }
}

TEST_CASE("views") {
  for (const OpCase& row : op_cases()) {
    CAPTURE(row.name());
    const std::vector<Tensor> inputs = make_inputs(row, Dtype::f64);
    const Pass plain = run(row, inputs);
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      CAPTURE(k);
      std::vector<Tensor> moved = inputs;
      moved[k] = reversed_in_memory(inputs[k]);
      const Pass viewed = run(row, moved);
      CHECK(relative_error(viewed.value, plain.value) < 1e-14);
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        CHECK(relative_error(viewed.gradients[i], plain.gradients[i]) < 1e-14);
      }
    }
  }
}

TEST_CASE("precision") {
  for (const OpCase& row : op_cases()) {
    CAPTURE(row.name());
    const Pass single = run(row, make_inputs(row, Dtype::f32)), both = run(row, make_inputs(row, Dtype::f64));
    CHECK(single.value.dtype() == Dtype::f32);
    CHECK(relative_error(single.value, both.value) < 1e-5);
    for (std::size_t k = 0; k < single.gradients.size(); ++k) {
      CAPTURE(k);
      CHECK(single.gradients[k].dtype() == Dtype::f32);
      CHECK(relative_error(single.gradients[k], both.gradients[k]) < 1e-5);
    }
  }
}

TEST_CASE("instance_norm reads weights of any layout and refuses what it cannot compute") {
  const Tensor x = Generator(1).normal({2, 3, 3, 4}), ones = Tensor::full({}, 1.0).expand({4});
  const Tensor zeros = Tensor::zeros({4});
  CHECK(relative_error(instance_norm(x, ones, zeros).value(),
                       instance_norm(x, ones.clone(), zeros).value()) == 0.0);

  const Unary silu{UnaryOp::silu};
  CHECK_THROWS_AS(instance_norm(x, ones, zeros, 1e-5, silu), Error);
  CHECK_THROWS_AS(instance_norm(x, ones.to(Dtype::f64), zeros), Error);
  CHECK_THROWS_AS(instance_norm(x, ones, Tensor::zeros({3})), Error);
  CHECK_THROWS_AS(instance_norm(x, ones, {}), Error);
}

TEST_CASE("only activations whose derivative follows from their value are fused into a product") {
  const Variable x = Tensor::zeros({2, 4}), w = Tensor::zeros({3, 4});
  const Variable image = Tensor::zeros({1, 4, 4, 2}), filter = Tensor::zeros({2, 3, 3, 2});
  for (const Unary& other : {Unary{UnaryOp::silu}, {UnaryOp::leaky_relu, -0.2}}) {
    CHECK_THROWS_AS(linear(x, w, {}, {other}), Error);
    CHECK_THROWS_AS(conv2d(image, filter, {}, {1, 1}, {other}), Error);
    CHECK_THROWS_AS(conv_transpose2d(image, filter, {}, {1, 1}, {other}), Error);
  }
}

TEST_CASE("what selects lets nothing through that is not selected") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const Variable x(Tensor::from(std::vector<double>{-1.0, 4.0}, {2}), true);
  const Variable y = where(greater(x.value(), 0.0), sqrt(x), Tensor::zeros({2}, Dtype::f64));
  CHECK(y.value().to_vector<double>() == std::vector<double>{0.0, 2.0});
  CHECK(grad(sum(sqrt(where(greater(x.value(), 0.0), x, Tensor::full({}, 1.0, Dtype::f64)))), {x})[0]
            .to_vector<double>() == std::vector<double>{0.0, 0.25});
  CHECK(masked(Tensor::full({2}, inf, Dtype::f64), greater(x.value(), 0.0)).to_vector<double>() ==
        std::vector<double>{0.0, inf});
  // Of equal numbers each gets half.
  const Variable a(Tensor::from(std::vector<double>{1.0, 2.0, 3.0}, {3}), true),
      b(Tensor::from(std::vector<double>{1.0, 5.0, 0.0}, {3}), true);
  for (const auto& [z, wanted] :
       {std::pair{maximum(a, b), std::vector<double>{0.5, 0.0, 1.0}}, {minimum(a, b), {0.5, 1.0, 0.0}}}) {
    CHECK(grad(sum(z), {a})[0].to_vector<double>() == wanted);
  }
  const double nan = std::nan("");
  for (const double other : {1.0, nan}) {
    const Tensor n = Tensor::full({1}, nan, Dtype::f64), o = Tensor::full({1}, other, Dtype::f64);
    for (const Tensor& z : {maximum(n, o), maximum(o, n), minimum(n, o), minimum(o, n)})
      CHECK(std::isnan(z.item()));
  }
}

TEST_CASE("whole numbers that their type does not tell apart are refused") {
  const std::int64_t most = (std::int64_t{1} << 24) + 1;
  const Tensor many = Tensor::zeros({1}).expand({most + 1});
  CHECK(error_of([&] { argmax(many, 0); }) ==
        "argmax: 16777218 numbers in f32, which holds whole ones up to 16777216");
  CHECK(error_of([&] { one_hot(Tensor::zeros({1}), most + 1); }).starts_with("one_hot: 16777218"));
  CHECK(error_of([&] {
          embedding(Tensor::zeros({1}), many.expand({1, most + 1}).transpose(0, 1));
        }).starts_with("embedding: 16777218"));
  CHECK(error_of([] { arange(258, Dtype::bf16); }).starts_with("arange: 258"));
  CHECK(at(arange(257, Dtype::bf16), {-1}) == 256.0);
}

TEST_CASE("argmax, one_hot, max: the first of the largest") {
  const Tensor x = Tensor::from(std::vector<float>{1, 7, 7, 2, -1, -3}, {2, 3});
  CHECK(argmax(x, 1).to_vector<float>() == std::vector<float>{1, 0});
  CHECK(argmax(x, 0, true).shape() == Shape{1, 3});
  CHECK(argmax(x, -2).to_vector<float>() == std::vector<float>{1, 0, 0});
  CHECK(max(x, 1).to_vector<float>() == std::vector<float>{7, 2});
  CHECK(one_hot(argmax(x, 1), 3).to_vector<float>() == std::vector<float>{0, 1, 0, 1, 0, 0});
  CHECK(contains(error_of([&] { max(x, 2); }), "max: dimension 2 of shape [2, 3]"));
}

TEST_CASE("normalisations of nothing have gradients of 0, and second ones") {
  const auto full = [](const Shape& shape) { return Variable(Tensor::full(shape, 0.5, Dtype::f64), true); };
  const auto check = [&](const Variable& x, const Variable& w, const auto& normalise) {
    const Variable b = full(w.shape()), y = normalise(x, w, b);
    CHECK(y.shape() == x.shape());
    const std::vector<Variable> first = grad(sum(square(y)), {x, w, b}, create_graph);
    const std::vector<Tensor> second =
        grad(sum(square(first[0])) + sum(square(first[1])) + sum(square(first[2])), {x, w, b});
    for (const std::size_t i : {1u, 2u}) {
      CHECK(sum_squares(first[i].value()).item() == 0.0);
      CHECK(sum_squares(second[i]).item() == 0.0);
    }
  };
  const auto batch = [](const auto&... v) { return batch_norm(v...); };
  check(full({0, 3}), full({3}), batch);
  check(full({2, 0, 4, 3}), full({3}), batch);
  check(full({0, 3}), full({3}), [](const auto&... v) { return layer_norm(v...); });
  check(full({2, 0, 4, 3}), full({3}), [](const auto&... v) { return instance_norm(v...); });
  check(full({2, 0, 4, 3}), full({2, 3}), [](const auto&... v) { return adaptive_instance_norm(v...); });
}

TEST_CASE("a dimension without elements has no largest, its softmax is empty and its mean is no number") {
  const Tensor none = Tensor::zeros({3, 0}), x = Tensor::zeros({0, 3});
  CHECK(error_of([&] { max(none, -1); }) == "max: dimension -1 of shape [3, 0] has no elements");
  CHECK(error_of([&] { max(Variable(none), 1); }) == "max: dimension 1 of shape [3, 0] has no elements");
  CHECK(error_of([&] { argmax(none, 1); }) == "argmax: dimension 1 of shape [3, 0] has no elements");
  CHECK(error_of([&] { cross_entropy(none, Tensor::zeros({3})); }) ==
        "cross_entropy: logits [3, 0] are of no class");
  CHECK(contains(error_of([&] { softmax(none, 2); }), "softmax: dimension 2 of shape [3, 0]"));
  // Of as many maxima as there are, which may be none.
  CHECK(max(none, 0).shape() == Shape{0});
  CHECK(argmax(x, 1, true).shape() == Shape{0, 1});
  for (const Tensor& empty : {none, x}) {
    for (const int dim : {0, 1, -1}) {
      CHECK(softmax(empty, dim).shape() == empty.shape());
      CHECK(log_softmax(empty, dim).shape() == empty.shape());
      const Variable leaf(empty, true);
      for (const Variable& y : {softmax(leaf, dim), log_softmax(leaf, dim)})
        CHECK(grad(y, {leaf}, empty)[0].shape() == empty.shape());
    }
    CHECK(std::isnan(mean(empty).item()));
    CHECK(sum(empty).item() == 0.0);
    const Variable leaf(empty, true);
    CHECK(grad(mean(leaf), {leaf})[0].shape() == empty.shape());
  }
  for (const double value : mean(none, 1).to_vector<double>()) CHECK(std::isnan(value));
  CHECK(mean(none, 0).shape() == Shape{0});
  CHECK(std::isnan(cross_entropy(x, Tensor::zeros({0})).value().item()));
}

TEST_CASE("products over a dimension without elements are zeros") {
  const auto none = [](const Shape& shape) { return Variable(Tensor::zeros(shape), true); };
  const Variable x = none({5, 2, 0}), w = none({0, 3});
  CHECK(matmul(x, w).value().to_vector<float>() == std::vector<float>(30, 0.0f));
  CHECK(linear(x, none({3, 0}), Tensor::full({3}, 2.0)).value().to_vector<float>() ==
        std::vector<float>(30, 2.0f));
  CHECK(grad(sum(matmul(x, w)), {x, w})[1].shape() == Shape{0, 3});
}

TEST_CASE("indices") {
  const Tensor x = affine(arange(24, Dtype::f64).reshape({2, 3, 4}), 1.0, 0.0);
  const Tensor index = Tensor::from(std::vector<double>{2, 0}, {2});
  CHECK(index_select(x, 1, index).value().to_vector<double>() ==
        std::vector<double>{8, 9, 10, 11, 0, 1, 2, 3, 20, 21, 22, 23, 12, 13, 14, 15});
  const Tensor where_to = Tensor::from(std::vector<double>{2, 0, 1, 1, 0, 0, 2, 2}, {2, 1, 4});
  CHECK(gather(x, 1, where_to).value().to_vector<double>() ==
        std::vector<double>{8, 1, 6, 7, 12, 13, 22, 23});
  CHECK(select(x, 2, -1).value().to_vector<double>() == std::vector<double>{3, 7, 11, 15, 19, 23});
  CHECK(embedding(Tensor::full({}, 1.0, Dtype::f64), reshape(x, {6, 4})).value().to_vector<double>() ==
        std::vector<double>{4, 5, 6, 7});
  CHECK(contains(error_of([&] { select(x, 1, 3); }), "select: element 3 of dimension 1 of shape [2, 3, 4]"));
  CHECK(contains(error_of([&] { gather(x, 1, index); }), "gather: x is [2, 3, 4], index [2]"));
}

TEST_CASE("what needs whole numbers of the host is named when a captured step forbids it") {
  const Tensor t = Tensor::zeros({1});
  const auto refusal = [&](const std::function<void()>& deed) {
    Captured step("s", {}, Device{}, [&](const Tensors&) {
      deed();
      return Tensors{};
    });
    return error_of([&] { step({}); });
  };
  CHECK(refusal([&] {
          cross_entropy(t.reshape({1, 1}), t);
        }).starts_with("step 's': cross_entropy's copy of whole numbers from the host (make one_hot rows"));
  CHECK(refusal([&] { argmax(t, 0); }).starts_with("step 's': argmax's copy of whole numbers from the host"));
  CHECK(refusal([&] { cross_entropy(t.reshape({1, 1}), t.reshape({1, 1})); }) == "");  // by probabilities
}

TEST_CASE("an index that is none is named with its place") {
  const Tensor x = Tensor::zeros({4, 3});
  const auto indices = [](double odd) { return Tensor::from(std::vector<float>{2, 0, float(odd), 1}, {4}); };
  CHECK(error_of([&] { cross_entropy(x, indices(3)); }) ==
        "cross_entropy: index 3 of element 2, expected a whole number from 0 to 2");
  CHECK(error_of([&] { embedding(indices(-1), x); }) ==
        "embedding: index -1 of element 2, expected a whole number from 0 to 3");
  CHECK(error_of([&] { index_select(x, 1, indices(0.5)); }) ==
        "index_select: index 0.5 of element 2, expected a whole number from 0 to 2");
  CHECK(error_of([&] {
          gather(x, 1, indices(7).reshape({4, 1}));
        }) == "gather: index 7 of element 2, expected a whole number from 0 to 2");
  CHECK(error_of([&] { one_hot(indices(std::nan("")), 3); }) ==
        "one_hot: index nan of element 2, expected a whole number from 0 to 2");
  CHECK(embedding(indices(3), x).shape() == Shape{4, 3});
}

TEST_CASE("dropout keeps the expected share and scales it") {
  Generator random(3);
  const Tensor y = dropout(Tensor::full({100, 100}, 3.0), 0.25, random).value();
  const double kept = mean(greater(y, 0.0)).item();
  CHECK(kept == doctest::Approx(0.75).epsilon(0.02));
  CHECK(sum(y).item() == doctest::Approx(kept * 10'000 * 4.0));
  CHECK_THROWS_AS(dropout(Tensor::zeros({1}), 1.0, random), Error);
}

TEST_CASE("log_softmax: logits beyond the range of exp, and classes that sum to one") {
  const Tensor x = Tensor::from(std::vector<double>{1000.0, 999.0, -2000.0, 0.5, 0.5, 0.5}, {2, 3});
  const std::vector<double> y = log_softmax(x).value().to_vector<double>();
  const double near = std::log1p(std::exp(-1.0));
  CHECK(y[0] == doctest::Approx(-near));
  CHECK(y[1] == doctest::Approx(-1.0 - near));
  CHECK(y[2] == doctest::Approx(-3000.0 - near));
  for (std::size_t i = 3; i < 6; ++i) CHECK(y[i] == doctest::Approx(-std::log(3.0)));

  // Certain of the right class: no loss; certain of a wrong one: the distance of the two.
  const Tensor right = Tensor::from(std::vector<double>{1.0, 0.0, 0.0, 0.0, 1.0, 0.0}, {2, 3});
  CHECK(cross_entropy(x, right).value().item() == doctest::Approx(0.5 * (near + std::log(3.0))));
  CHECK(cross_entropy(x, Tensor::from(std::vector<double>{0.0, 1.0}, {2})).value().item() ==
        cross_entropy(x, right).value().item());
  CHECK_THROWS_AS(cross_entropy(x, Tensor::zeros({3, 2}, Dtype::f64)), Error);
}
