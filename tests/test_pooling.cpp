/// Pooling against loops over windows: values, gradients, ties, NaN, and what is refused.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/naive.h"

using namespace damc;

namespace {

/// The value and the input gradient of one pooling, element by element, in the order in which windows are scanned.
struct PoolOracle {
  Values out, grad;
  std::vector<std::size_t> places;  ///< of each window's largest element

  PoolOracle(const Pooling& p, const Values& x, const Values& g)
      : out(static_cast<std::size_t>(p.windows.out_shape().numel())), grad(x.size()), places(out.size()) {
    const ConvGeometry& s = p.windows;
    for (std::size_t o = 0; o < out.size(); ++o) {
      const auto i = static_cast<std::int64_t>(o);
      const std::int64_t c = i % s.in_c, ow = i / s.in_c % s.out_w, oh = i / s.in_c / s.out_w % s.out_h;
      const std::int64_t n = i / s.in_c / s.out_w / s.out_h;
      std::vector<std::size_t> inside;
      for (std::int64_t kh = 0; kh < s.kernel_h; ++kh) {
        for (std::int64_t kw = 0; kw < s.kernel_w; ++kw) {
          const std::int64_t h = oh * s.stride.h - s.padding.h + kh, w = ow * s.stride.w - s.padding.w + kw;
          if (h >= 0 && h < s.in_h && w >= 0 && w < s.in_w)
            inside.push_back(static_cast<std::size_t>(((n * s.in_h + h) * s.in_w + w) * s.in_c + c));
        }
      }
      p.op == PoolOp::max ? take_largest(x, g, inside, o) : take_mean(p, x, g, inside, o);
    }
  }

 private:
  void take_largest(const Values& x, const Values& g, const std::vector<std::size_t>& inside, std::size_t o) {
    std::size_t best = inside[0];
    for (const std::size_t i : inside) {
      if (x[i] > x[best]) best = i;
    }
    out[o] = x[best];
    grad[best] += g[o];
    places[o] = best;
  }
  void take_mean(const Pooling& p, const Values& x, const Values& g, const std::vector<std::size_t>& inside,
                 std::size_t o) {
    const auto count = static_cast<double>(p.count_include_pad ? p.windows.taps()
                                                               : static_cast<std::int64_t>(inside.size()));
    for (const std::size_t i : inside) {
      out[o] += x[i] / count;
      grad[i] += g[o] / count;
    }
  }
};

}  // namespace

TEST_CASE("windows of many sizes, strides and paddings") {
  const std::vector<PoolOptions> all{{.kernel = 1},
                                     {.kernel = 2},
                                     {.kernel = 3, .stride = 2},
                                     {.kernel = 3, .stride = 1, .padding = 1},
                                     {.kernel = 3, .stride = 1, .padding = 1, .count_include_pad = false},
                                     {.kernel = {5, 2}, .stride = Pair(1, 4), .padding = {2, 1}},
                                     {.kernel = {2, 3}, .stride = 5, .count_include_pad = false},
                                     {.kernel = {8, 7}}};
  for (const Dtype dtype : float_types) {
    const double tolerance = dtype == Dtype::f32 ? 2e-6 : 1e-14;
    for (const PoolOptions& options : all) {
      CAPTURE(options.kernel.str());
      for (const PoolOp op : {PoolOp::max, PoolOp::mean}) {
        const Pooling p = pooling(op, {3, 8, 7, 5}, options);
        // Whole numbers, so that windows hold ties.
        const Tensor x = mul(normal(p.windows.in_shape(), dtype), 3.0).to(Dtype::f64);
        Values whole = elements(x);
        for (double& value : whole) value = std::round(value);
        const Tensor image = Tensor::from(whole, x.shape()).to(dtype),
                     g = normal(p.windows.out_shape(), dtype);
        const PoolOracle expected(p, whole, elements(g));
        const Tensor y = op == PoolOp::max ? max_pool2d(image, options) : avg_pool2d(image, options);
        CHECK(y.shape() == p.windows.out_shape());
        check_near(elements(y), expected.out, tolerance);
        check_near(elements(pool2d_grad_x(p, g, image, y)), expected.grad, tolerance);
        if (op == PoolOp::mean) continue;
        const Tensor from = normal(p.windows.in_shape(), dtype);
        const Values pixels = elements(from);
        Values wanted;
        for (const std::size_t place : expected.places) wanted.push_back(pixels[place]);
        CHECK(elements(pool2d_select(p, image, from)) == wanted);
      }
    }
  }
}

TEST_CASE("a NaN is the largest, infinities are numbers, views are read as they are") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const Tensor x =
      Tensor::from(std::vector<double>{1.0, std::nan(""), -inf, -inf, 2.0, inf, -inf, -inf}, {1, 2, 4, 1});
  const Values y = elements(max_pool2d(x, {.kernel = 2}));
  CHECK(std::isnan(y[0]));
  CHECK(y[1] == -inf);
  const Pooling p = pooling(PoolOp::max, {1, 2, 4, 1}, {.kernel = 2});
  const Tensor numbers = arange(8, x.dtype()).reshape(x.shape());
  CHECK(elements(pool2d_select(p, x, numbers)) == Values{1.0, 2.0});  // the NaN, and the first of equal ones
  const Tensor images = normal({2, 3, 4, 6}, Dtype::f64), turned = images.permute({0, 3, 2, 1});
  CHECK(elements(max_pool2d(turned, {.kernel = 2})) == elements(max_pool2d(turned.clone(), {.kernel = 2})));
  CHECK(max_pool2d(normal({0, 4, 4, 2}), {.kernel = 2}).shape() == Shape{0, 2, 2, 2});
}

TEST_CASE("what pooling refuses, with the sizes") {
  const Tensor x = normal({1, 4, 5, 2});
  CHECK_THROWS_WITH_AS(max_pool2d(x, {.kernel = 3, .padding = 2}),
                       "pooling: image [1, 4, 5, 2] (N,H,W,C), kernel 3, padding 2 (at most half of it)",
                       Error);
  CHECK_THROWS_WITH_AS(max_pool2d(x, {.kernel = 6}),
                       "pooling: image [1, 4, 5, 2] with padding 0 has no room for kernel 6, stride 6",
                       Error);
  CHECK_THROWS_AS(max_pool2d(x, {.kernel = 0}), Error);
  CHECK_THROWS_AS(avg_pool2d(x, {.kernel = 2, .stride = 0}), Error);
  CHECK_THROWS_AS(avg_pool2d(normal({4, 5, 2}), {.kernel = 2}), Error);
  CHECK_THROWS_AS(avg_pool2d(x.to(Dtype::bf16), {.kernel = 2}), Error);
  const Pooling p = pooling(PoolOp::mean, x.shape(), {.kernel = 2});
  CHECK_THROWS_AS(pool2d_grad_x(p, x, x, x), Error);
  CHECK_THROWS_AS(pool2d_select(p, x, x), Error);
  CHECK_THROWS_AS(pool2d_select(pooling(PoolOp::max, x.shape(), {.kernel = 2}), x, normal({1, 4, 5, 1})),
                  Error);
}
