/// Convolutions by columns and products (tensor/cuda/columns.h) as the CUDA backend runs them: its loops in the grids
/// of a GPU, run on the host, against the CPU's convolutions in f64.
#include <doctest/doctest.h>

#include "autograd/checks/op_cases.h"
#include "tensor/cuda/columns.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/grid_executor.h"

using namespace damc;

namespace {

struct Leaky {
  static constexpr double slope = 0.25;
  float f(float x) const { return x < 0.0f ? static_cast<float>(slope) * x : x; }
};

/// One pass in place, three images at a time.
void run(ConvPass pass, const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Tensor& y,
         const float* bias = nullptr) {
  const GridExecutor grid;
  convolve_by_columns(
      pass, s, 3, x, filter, y, bias, Leaky{},
      [&](std::int64_t rows, std::int64_t cols, const auto& body) { grid.for_rows(rows, cols, body); },
      [](const Tensor& a, const Tensor& b, const Tensor& out) { out.copy_from(matmul(a, b)); });
}

void check(const ConvGeometry& s) {
  CAPTURE(s.in_shape().str());
  CAPTURE(s.filter_shape().str());
  CAPTURE(s.stride.str());
  CAPTURE(s.padding.str());
  const auto draw = [](std::uint64_t seed, const Shape& shape) { return Generator(seed).normal(shape); };
  const auto exact = [](const Tensor& t) { return t.to(Dtype::f64); };
  const Tensor x = draw(1, s.in_shape()), w = draw(2, s.filter_shape()), g = draw(3, s.out_shape()),
               bias = draw(4, {s.in_c});
  constexpr double rounding = 2e-6;
  const auto unwritten = [](const Shape& shape) { return Tensor::full(shape, 1e30); };

  const Tensor y = unwritten(s.out_shape());
  run(ConvPass::forward, s, x, w, y);
  CHECK(relative_error(y, conv2d_forward(s, exact(x), exact(w))) < rounding);

  const Tensor gw = unwritten(s.filter_shape());
  run(ConvPass::grad_w, s, x, gw, g);
  CHECK(relative_error(gw, conv2d_grad_w(s, exact(g), exact(x))) < rounding);

  const Unary leaky{UnaryOp::leaky_relu, Leaky::slope};
  const Tensor gx = unwritten(s.in_shape());
  run(ConvPass::grad_x, s, gx, w, g, bias.data<float>());
  CHECK(relative_error(gx, conv2d_grad_x(s, exact(g), exact(w), exact(bias), {leaky})) < rounding);
}

}  // namespace

TEST_CASE("every pass, over kernels, strides, paddings and channels, more images than are taken at once") {
  for (const std::int64_t channels : {1, 3, 4, 8, 10})
    for (const std::int64_t kernel : {1, 3, 4, 5})
      for (const std::int64_t stride : {1, 2, 3})
        for (const std::int64_t padding : {0, 1, 2})
          check(conv_geometry({5, 7, 6, channels}, {6, kernel, kernel, channels}, {stride, padding}));
}

TEST_CASE("a filter higher than wide, and one image") {
  check(conv_geometry({4, 9, 5, 4}, {3, 4, 2, 4}, {2, 1}));
  check(conv_geometry({1, 4, 4, 16}, {3, 4, 4, 16}, {2, 1}));
  check(conv_geometry({2, 6, 9, 3}, {4, 1, 7, 3}, {{1, 2}, {0, 3}}));
  check(conv_geometry({2, 9, 6, 8}, {4, 7, 1, 8}, {{3, 1}, {3, 0}}));
}

TEST_CASE("which passes go by columns: f32 images, and where columns do not hold every number many times") {
  const ConvGeometry wide = conv_geometry({128, 16, 16, 64}, {128, 4, 4, 64}, {2, 1}),
                     deep = conv_geometry({128, 8, 8, 128}, {256, 4, 4, 128}, {2, 1}),
                     dense = conv_geometry({128, 16, 16, 64}, {64, 3, 3, 64}, {1, 1}),
                     colours = conv_geometry({128, 32, 32, 3}, {64, 3, 3, 3}, {1, 1}),
                     apart = conv_geometry({128, 16, 16, 64}, {128, 4, 4, 64}, {2, 1, 2}),
                     grouped = conv_geometry({128, 16, 16, 64}, {128, 4, 4, 32}, {2, 1, 1, 2}),
                     huge = conv_geometry({128, 128, 128, 64}, {128, 4, 4, 64}, {2, 1});
  const ConvTypes f32{Dtype::f32, Dtype::f32}, tf32{Dtype::f32, Dtype::f32, MatmulPrecision::tf32},
      bf16{Dtype::bf16, Dtype::f32}, f64{Dtype::f64, Dtype::f64};
  for (const ConvPass pass : {ConvPass::forward, ConvPass::grad_x, ConvPass::grad_w}) {
    CHECK(conv_by_columns(pass, wide, f32));
    CHECK(conv_by_columns(pass, colours, f32));
    CHECK(conv_by_columns(pass, deep, tf32) == (pass == ConvPass::grad_x));
    CHECK(conv_by_columns(pass, colours, tf32) == (pass == ConvPass::grad_x));
    CHECK(!conv_by_columns(pass, wide, tf32));
    CHECK(conv_by_columns(pass, huge, f32) == (pass != ConvPass::grad_w));
    CHECK(!conv_by_columns(pass, dense, f32));
    CHECK(!conv_by_columns(pass, wide, bf16));
    CHECK(!conv_by_columns(pass, wide, f64));
    CHECK(!conv_by_columns(pass, apart, f32));
    CHECK(!conv_by_columns(pass, grouped, f32));
    CHECK(!conv_by_columns(pass, conv_geometry({128, 4, 4, 64}, {128, 4, 4, 64}, {1, 0}), f32));
  }
  CHECK(images_at_once(huge) == 4);
  CHECK(columns_at_once(ConvPass::forward, huge) == std::size_t{64} << 20);
  CHECK(columns_at_once(ConvPass::grad_w, wide) == std::size_t{128 * 8 * 8 * 16 * 64 * 4});
  CHECK(images_at_once(conv_geometry({7, 4, 4, 8}, {8, 4, 4, 8}, {2, 1})) == 7);
}
