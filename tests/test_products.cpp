/// Matrix products on the CPU against naive loops in double, over layouts, sizes and batches.
#include <doctest/doctest.h>

#include <cmath>
#include <optional>

#include "tensor/backend.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tests/naive.h"
#include "tests/worse.h"

using namespace damc;

namespace {

/// a b in double, element by element, with the sum of magnitudes as the scale of the error.
void check_product(const Tensor& a, const Tensor& b, const Tensor& out) {
  const double tolerance = a.dtype() == Dtype::f32 ? 1e-6 : 1e-15;
  const std::int64_t m = a.size(-2), k = a.size(-1), n = b.size(-1), batches = a.ndim() == 3 ? a.size(0) : 1;
  const Values x = elements(a), y = elements(b), z = elements(out);
  REQUIRE(static_cast<std::int64_t>(z.size()) == batches * m * n);
  double worst = 0.0;
  for (std::int64_t i = 0; i < batches * m * n; ++i) {
    const std::int64_t batch = i / (m * n), row = i / n % m, col = i % n;
    double sum = 0.0, magnitude = 1e-30;
    for (std::int64_t j = 0; j < k; ++j) {
      const double term = x[static_cast<std::size_t>((batch * m + row) * k + j)] *
                          y[static_cast<std::size_t>((batch * k + j) * n + col)];
      sum += term;
      magnitude += std::fabs(term);
    }
    worst = worse(worst, std::fabs(z[static_cast<std::size_t>(i)] - sum) / magnitude);
  }
  CHECK(worst <= tolerance);
}

}  // namespace

TEST_CASE("matmul of every layout and many sizes") {
  const std::int64_t sizes[] = {0, 1, 2, 3, 5, 8, 17, 32, 65};
  for (const Dtype dtype : float_types) {
    for (const std::int64_t m : sizes) {
      for (const std::int64_t k : sizes) {
        for (const std::int64_t n : sizes) {
          CAPTURE(m);
          CAPTURE(k);
          CAPTURE(n);
          const auto right = layouts(normal({k, n}, dtype));
          for (const Tensor& a : layouts(normal({m, k}, dtype))) {
            for (const Tensor& b : right) check_product(a, b, matmul(a, b));
          }
        }
      }
    }
    for (const Shape& size :
         {Shape{257, 300, 129}, Shape{1, 1000, 500}, Shape{700, 2000, 1}, Shape{3, 5000, 7}}) {
      const Tensor a = normal({size[0], size[1]}, dtype),
                   b = normal({size[2], size[1]}, dtype).transpose(0, 1);
      check_product(a, b, matmul(a, b));
    }
  }
}

TEST_CASE("matmul of batches, of repeated, single and unaligned operands") {
  for (const Dtype dtype : float_types) {
    for (const Tensor& a : layouts(normal({3, 4, 5}, dtype))) {
      for (const Tensor& b : layouts(normal({3, 5, 2}, dtype))) check_product(a, b, matmul(a, b));
    }
    const Tensor a = normal({4, 5}, dtype), b = normal({3, 5, 2}, dtype), row = normal({5}, dtype);
    check_product(a.expand({3, 4, 5}), b, matmul(a.expand({3, 4, 5}), b));
    check_product(row.expand({4, 5}), a.transpose(0, 1), matmul(row.expand({4, 5}), a.transpose(0, 1)));
    const Tensor every_other = normal({4, 5, 2}, dtype).narrow(2, 1, 1).reshape({4, 5});
    check_product(every_other, b.narrow(0, 1, 1).reshape({5, 2}),
                  matmul(every_other, b.narrow(0, 1, 1).reshape({5, 2})));
    for (const Tensor& column : layouts(normal({6, 1}, dtype))) {
      check_product(column, column.transpose(0, 1), matmul(column, column.transpose(0, 1)));
      check_product(column.transpose(0, 1), column, matmul(column.transpose(0, 1), column));
    }
    CHECK(matmul(normal({0, 4, 5}, dtype), normal({0, 5, 2}, dtype)).shape() == Shape{0, 4, 2});
  }
}

TEST_CASE("a pinned weight on the right, as it is and transposed, with and without odd edges") {
  for (const Dtype dtype : float_types) {
    for (const std::int64_t m : {0, 1, 7, 8, 9, 130, 300}) {
      for (const std::int64_t k : {1, 5, 64}) {
        for (const std::int64_t n : {1, 15, 16, 17, 32, 33, 100}) {
          CAPTURE(m);
          CAPTURE(k);
          CAPTURE(n);
          const Tensor w = normal({k, n}, dtype), a = normal({m, k}, dtype), g = normal({m, n}, dtype);
          const PinnedWeights pinned({w});
          for (int use = 0; use < 2; ++use) {
            check_product(a, w, matmul(a, w));
            check_product(g, w.transpose(0, 1), matmul(g, w.transpose(0, 1)));
          }
          if (m > 0) check_product(layouts(a)[1], w, matmul(layouts(a)[1], w));
        }
      }
    }
  }
}

TEST_CASE("views that start where a pinned weight does are not taken for each other") {
  for (const Dtype dtype : float_types) {
    const Tensor w = normal({8, 6}, dtype), x = normal({5, 3}, dtype), c = normal({5, 4}, dtype);
    const std::vector<Tensor> views{w.narrow(0, 0, 4).narrow(1, 0, 3), w.reshape({16, 3}).narrow(0, 0, 4),
                                    w.narrow(0, 0, 4).narrow(1, 0, 3)};  // all [4, 3], two with rows of 6
    const auto gated = [&](const Tensor& view) {
      const Tensor out = Tensor::empty({5, 2}, dtype);
      gated_linear_out(out, x, view, w.reshape({-1}).narrow(0, 0, 2), c);
      return elements(out);
    };
    for (const Tensor& view : views) {
      const Values alone = gated(view.clone());
      const PinnedWeights pinned({w});
      for (const Tensor& other : views) gated(other);
      for (const Tensor& other : views) matmul(x, other.transpose(0, 1));
      check_product(x, view.transpose(0, 1), matmul(x, view.transpose(0, 1)));
      check_near(gated(view), alone, dtype == Dtype::f32 ? 6e-6 : 1e-14);
    }
  }
}

TEST_CASE("gated_linear_out is the sum of its parts, with weights pinned or not") {
  const Unary leaky{UnaryOp::leaky_relu, 0.01};
  for (const Dtype dtype : float_types) {
    const double tolerance = dtype == Dtype::f32 ? 6e-6 : 1e-14;  // without fused multiply-adds 3.7e-6
    for (const std::int64_t n : {1, 7, 16, 100, 256}) {
      for (const std::int64_t rows : {0, 1, 5, 200}) {
        const std::int64_t k = 33;
        const Tensor w = normal({2 * n, k}, dtype), b = normal({n}, dtype);
        for (const Tensor& x : layouts(normal({rows, k}, dtype))) {
          const Tensor y = matmul(x, w.transpose(0, 1));
          for (const Tensor& c : {normal({rows, 2 * n}, dtype), normal({1, 2 * n}, dtype)}) {
            const auto half = [&](const Tensor& t, std::int64_t i) { return t.narrow(1, i * n, n); };
            const Tensor sum = add(add(mul(add(half(y, 0), b), sigmoid(half(c, 0))), half(y, 1)), half(c, 1));
            for (const bool pin : {false, true}) {
              std::optional<PinnedWeights> pinned;
              if (pin) pinned.emplace(std::vector<Tensor>{w});
              const Tensor wide = Tensor::full({rows, n + 2}, 5.0, dtype), out = wide.narrow(1, 1, n);
              gated_linear_out(out, x, w, b, c);
              check_near(elements(out), elements(sum), tolerance);
              gated_linear_out(out, x, w, b, c, {leaky});
              check_near(elements(out), elements(leaky_relu(sum, 0.01)), tolerance);
              for (const std::int64_t beside : {std::int64_t{0}, n + 1})
                CHECK(elements(wide.narrow(1, beside, 1)) == Values(static_cast<std::size_t>(rows), 5.0));
            }
          }
        }
      }
    }
  }
  const Tensor x = normal({2, 3}), w = normal({4, 3}), b = normal({2}), c = normal({2, 4}),
               out = normal({2, 2});
  CHECK_NOTHROW(gated_linear_out(out, x, w, b, c));
  CHECK_THROWS_AS(gated_linear_out(out, x, w, b, normal({2, 2})), Error);
  CHECK_THROWS_AS(gated_linear_out(out, x, w, b, normal({3, 4})), Error);
  CHECK_THROWS_AS(gated_linear_out(out, x, normal({3, 3}), b, c), Error);
  CHECK_THROWS_AS(gated_linear_out(normal({2, 3}), x, w, b, c), Error);
  CHECK_THROWS_AS(gated_linear_out(out.transpose(0, 1), x, w, b, c), Error);
  CHECK_THROWS_AS(gated_linear_out(out, x, w, normal({2}, Dtype::f64), c), Error);
}

TEST_CASE("linear with bias and activation") {
  const Unary leaky{UnaryOp::leaky_relu, 0.2}, tanh{UnaryOp::tanh};
  for (const Dtype dtype : float_types) {
    for (const std::int64_t in : {0, 1, 7, 100}) {
      for (const std::int64_t out : {1, 10, 64}) {
        const Tensor bias = normal({out}, dtype);
        const auto weights = layouts(normal({out, in}, dtype));
        for (const Tensor& x : layouts(normal({33, in}, dtype))) {
          for (const Tensor& w : weights) {
            const Tensor product = matmul(x, w.transpose(0, 1));
            const double tolerance = dtype == Dtype::f32 ? 4e-6 : 1e-14;  // without fused ones 2.4e-6
            check_near(elements(linear(x, w, {})), elements(product), tolerance);
            for (const Unary& activation : {Unary(), leaky, tanh}) {
              const Tensor sum = add(product, bias), expected = unary(activation, sum);
              check_near(elements(linear(x, w, bias, {activation})), elements(expected), tolerance);
              const PinnedWeights pinned({w});
              check_near(elements(linear(x, w, bias, {activation})), elements(expected), tolerance);
              check_near(elements(linear(x, w, {}, {activation})), elements(unary(activation, product)),
                         tolerance);
            }
          }
        }
        CHECK(linear(Tensor::empty({0, in}, dtype), weights[0], bias).shape() == Shape{0, out});
      }
    }
  }
}
