/// Convolutions on the CPU against the oracle of seven loops, in both precisions, over many geometries, with
/// and without what is fused into them, on one thread and on two.
#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "tensor/backend.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/conv_oracle.h"

using namespace damc;

namespace {

using Values = std::vector<double>;

const Unary leaky{UnaryOp::leaky_relu, 0.2}, hyperbolic{UnaryOp::tanh};

Tensor normal(const Shape& shape, Dtype dtype) {
  static Generator generator(7);
  return generator.normal(shape, dtype);
}

/// Relative error; the larger of Winograd's tiles comes to 1.2e-6 in f32. In bf16 images and filters are rounded to 2^-9, and
/// in Winograd's form sums of them.
double allowed(Dtype dtype) { return dtype == Dtype::bf16 ? 7e-3 : dtype == Dtype::f32 ? 2e-6 : 1e-12; }

Values values_of(const Tensor& t) { return t.to(Dtype::f64).to_vector<double>(); }

double dot(const Values& a, const Values& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// |result - act(expected + bias)| in the Euclidean norm, over the scale of the pass and of the bias.
double relative_error(const Tensor& result, const OraclePass& expected, const Tensor& bias = {},
                      const Unary& activation = {}) {
  const Values values = values_of(result), b = bias.defined() ? bias.to_vector<double>() : Values(1);
  REQUIRE(values.size() == expected.values.size());
  double error = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    double y = expected.values[i] + b[i % b.size()];
    if (activation.op == UnaryOp::leaky_relu) y = y > 0.0 ? y : 0.2 * y;
    if (activation.op == UnaryOp::tanh) y = std::tanh(y);
    error += (values[i] - y) * (values[i] - y);
  }
  const double repeats = static_cast<double>(values.size() / b.size());
  const double scale = expected.scale + std::sqrt(repeats * dot(b, b));
  return error == 0.0 ? 0.0 : std::sqrt(error) / scale;
}

std::string str(const ConvGeometry& s) {
  return fmt::format("x {}, filter {}, out {}, {}", s.in_shape().str(), s.filter_shape().str(),
                     s.out_shape().str(), s.str());
}

/// All passes of one geometry against the oracle; `variant` picks bias and activation.
void check_geometry(const ConvGeometry& s, Dtype dtype, int variant) {
  CAPTURE(str(s));
  CAPTURE(std::string(name(dtype)));
  CAPTURE(variant);
  const double tolerance = allowed(dtype);
  const Dtype sums = computed(dtype);
  const Tensor x = normal(s.in_shape(), sums).to(dtype), w = normal(s.filter_shape(), sums),
               g = normal(s.out_shape(), sums).to(dtype);
  const ConvOracle expected(s, values_of(x), values_of(w), values_of(g));
  const Tensor out_bias = variant % 2 ? normal({s.out_c}, sums) : Tensor();
  const Tensor in_bias = variant % 2 ? normal({s.in_c}, sums) : Tensor();
  const Unary activation = variant % 3 == 0 ? Unary() : variant % 3 == 1 ? leaky : hyperbolic;
  for (const int threads : {1, 2}) {
    omp_set_num_threads(threads);
    CHECK(relative_error(conv2d_forward(s, x, w, out_bias, {activation}), expected.out, out_bias,
                         activation) <= tolerance);
    CHECK(relative_error(conv2d_grad_x(s, g, w, in_bias, {activation}), expected.grad_x, in_bias,
                         activation) <= tolerance);
    CHECK(relative_error(conv2d_grad_w(s, g, x), expected.grad_w) <= tolerance);
  }
}

struct Window {
  std::int64_t kernel, stride, padding;
};

struct Threads {
  int before = omp_get_max_threads();
  ~Threads() { omp_set_num_threads(before); }
};

}  // namespace

TEST_CASE("every kernel size, stride and padding, on rectangular images") {
  const Threads restore;
  const std::int64_t images[][2] = {{1, 1}, {8, 8}, {9, 6}, {5, 11}, {4, 7}};
  const std::int64_t sizes[][3] = {{1, 3, 1}, {2, 1, 3}, {2, 3, 17}, {3, 17, 1}, {1, 1, 1}};  // N, Cin, Cout
  int variant = 0;
  for (std::int64_t kernel = 1; kernel <= 8; ++kernel) {
    for (std::int64_t stride = 1; stride <= 3; ++stride) {
      for (std::int64_t padding = 0; padding < kernel; ++padding) {
        for (const auto& [h, w] : images) {
          if (std::min(h, w) + 2 * padding < kernel) continue;
          const auto& [n, in_c, out_c] = sizes[variant % 5];
          const ConvGeometry s =
              conv_geometry({n, h, w, in_c}, {out_c, kernel, kernel, in_c}, {stride, padding});
          check_geometry(s, Dtype::f64, variant);
          check_geometry(s, Dtype::bf16, variant);
          check_geometry(s, Dtype::f32, variant++);
        }
      }
    }
  }
}

TEST_CASE("batches, channels and filters of other shapes") {
  const Threads restore;
  const struct {
    Shape x, filter;
    Pair stride, padding;
  } cases[] = {
      {{33, 8, 8, 3}, {17, 4, 4, 3}, 2, 1},  // N over several blocks of images
      {{33, 5, 7, 17}, {3, 3, 3, 17}, 1, 1},
      {{33, 16, 16, 1}, {1, 5, 5, 1}, 2, 2},
      {{2, 40, 30, 3}, {17, 3, 3, 3}, 1, 1},   // one image is more than a block
      {{300, 8, 8, 17}, {2, 5, 5, 17}, 1, 2},  // weight gradient over several blocks
      {{33, 4, 4, 17}, {17, 4, 4, 17}, 1, 0},  // the filter covers the image: a plain product
      {{1, 4, 3, 17}, {3, 4, 3, 17}, 1, 0},
      {{33, 1, 1, 17}, {17, 1, 1, 17}, 1, 0},
      {{2, 4, 4, 3}, {5, 4, 4, 3}, 3, 0},
      {{2, 4, 4, 3}, {5, 4, 4, 3}, 3, 1},  // one output pixel, but not of the whole image
      {{2, 5, 4, 3}, {5, 4, 4, 3}, 2, 0},
      {{2, 4, 5, 3}, {5, 4, 4, 3}, 2, 0},
      {{2, 9, 9, 3}, {4, 3, 5, 3}, 2, 1},  // filters that are not square
      {{2, 6, 9, 3}, {4, 1, 7, 3}, 1, 3},
      {{2, 9, 9, 17}, {4, 1, 1, 17}, 2, 0},  // stride beyond the filter
      {{2, 2, 2, 2}, {3, 3, 3, 2}, 5, 2},
      {{2, 3, 3, 2}, {2, 2, 2, 2}, 1, 4},       // padding beyond the filter
      {{2, 6, 9, 3}, {4, 1, 7, 3}, 1, {0, 3}},  // strides and paddings that differ by direction
      {{2, 9, 6, 3}, {4, 7, 1, 3}, 1, {3, 0}},
      {{2, 9, 8, 3}, {4, 3, 4, 3}, {1, 2}, {2, 1}},
      {{2, 8, 9, 17}, {3, 1, 1, 17}, {3, 1}, {0, 2}},
      {{2, 12, 11, 33}, {34, 4, 4, 33}, 2, {1, 2}},  // Winograd
      {{3, 6, 7, 33}, {2, 3, 4, 33}, 1, {0, 3}},     // many channels become a few
      {{2, 12, 11, 33}, {34, 4, 4, 33}, {2, 1}, 1},
      {{3, 9, 8, 32}, {20, 3, 2, 32}, {2, 1}, {1, 0}},  // whole panels of channels under a tap,
      {{5, 4, 4, 64}, {17, 4, 4, 64}, 1, 0},
      {{34, 9, 9, 32}, {5, 3, 3, 32}, 1, 1},  // also over several blocks of pixels
  };
  for (const auto& [x, filter, stride, padding] : cases) {
    const ConvGeometry s = conv_geometry(x, filter, {stride, padding});
    for (int variant = 0; variant < (s.macs() > 10'000'000 ? 1 : 6); ++variant) {
      for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::bf16}) check_geometry(s, dtype, variant);
    }
  }
  CHECK(conv_geometry({1, 4, 3, 17}, {3, 4, 3, 17}, {1, 0}).is_gemm());
  CHECK_FALSE(conv_geometry({2, 4, 4, 3}, {5, 4, 4, 3}, {3, 1}).is_gemm());
}

TEST_CASE("kernel 4, stride 2 and channels enough for Winograd's form") {
  const Threads restore;
  int variant = 0;
  for (const auto& [h, w] :
       {std::pair{4, 4}, {8, 8}, {7, 9}, {6, 5}, {2, 3}, {4, 10}, {16, 16}, {15, 13}, {9, 22}}) {
    for (std::int64_t padding = 0; padding < 4; ++padding) {
      if (std::min(h, w) + 2 * padding < 4) continue;
      const std::int64_t in_c = variant % 2 ? 32 : 40, out_c = variant % 2 ? 33 : 32;
      const ConvGeometry s = conv_geometry({2, h, w, in_c}, {out_c, 4, 4, in_c}, {2, padding});
      check_geometry(s, Dtype::f64, variant);
      check_geometry(s, Dtype::bf16, variant);
      check_geometry(s, Dtype::f32, variant++);
    }
  }
}

TEST_CASE("taps that lie apart, and channels in groups") {
  const Threads restore;
  const struct {
    Shape x, filter;
    ConvOptions options;
  } cases[] = {
      {{2, 9, 8, 3}, {4, 3, 3, 3}, {.dilation = 2}},
      {{1, 9, 11, 3}, {4, 3, 2, 3}, {.stride = {2, 1}, .padding = {2, 0}, .dilation = {3, 1}}},
      {{2, 5, 5, 3}, {4, 3, 3, 3}, {.padding = 4, .dilation = 4}},  // the outer taps lie beyond the image
      {{2, 5, 5, 3}, {4, 3, 3, 3}, {.dilation = 2}},                // one output pixel
      {{2, 6, 5, 1}, {2, 1, 1, 1}, {.dilation = 3}},
      {{2, 16, 15, 32}, {32, 4, 4, 32}, {.stride = 2, .padding = 1, .dilation = 2}},  // not Winograd's
      {{3, 6, 7, 6}, {4, 3, 3, 3}, {.padding = 1, .groups = 2}},
      {{3, 6, 7, 6}, {6, 3, 3, 1}, {.padding = 1, .groups = 6}},  // depthwise
      {{3, 6, 7, 3}, {12, 4, 4, 1}, {.stride = 2, .padding = 1, .groups = 3}},
      {{2, 4, 4, 6}, {6, 4, 4, 2}, {.groups = 3}},  // each filter covers the image
      {{2, 8, 8, 64}, {64, 4, 4, 32}, {.stride = 2, .padding = 1, .groups = 2}},
      {{17, 5, 4, 8}, {12, 1, 1, 2}, {.groups = 4}},
      {{2, 12, 9, 10}, {15, 3, 2, 2}, {.stride = {1, 2}, .padding = {2, 1}, .dilation = {2, 3}, .groups = 5}},
  };
  for (const auto& [x, filter, options] : cases) {
    const ConvGeometry s = conv_geometry(x, filter, options);
    CHECK(s.out_h ==
          (x[1] + 2 * options.padding.h - options.dilation.h * (filter[1] - 1) - 1) / options.stride.h + 1);
    for (int variant = 0; variant < 6; ++variant) {
      for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::bf16}) check_geometry(s, dtype, variant);
    }
  }
  CHECK_FALSE(conv_geometry({2, 4, 4, 6}, {6, 4, 4, 2}, {.groups = 3}).is_gemm());
  const ConvGeometry none = conv_geometry({0, 4, 4, 6}, {6, 2, 2, 2}, {.groups = 3});
  CHECK(conv2d_grad_w(none, Tensor::empty(none.out_shape()), Tensor::empty(none.in_shape()))
            .to_vector<double>() == Values(48));
}

TEST_CASE("a grouped convolution is convolutions of its groups beside each other, a transposed one too") {
  const Tensor x = normal({2, 6, 5, 6}, Dtype::f64), w = normal({4, 3, 2, 3}, Dtype::f64),
               bias = normal({4}, Dtype::f64), wt = normal({6, 3, 2, 4}, Dtype::f64);
  const auto part = [](const Tensor& t, int dim, std::int64_t group) {
    return t.narrow(dim, group * t.size(dim) / 2, t.size(dim) / 2);
  };
  const ConvOptions options{.stride = 2, .padding = 1, .dilation = {1, 2}};
  ConvOptions grouped = options;
  grouped.groups = 2;
  std::vector<Tensor> parts, transposed;
  for (const std::int64_t group : {0, 1}) {
    parts.push_back(conv2d(part(x, 3, group), part(w, 0, group), part(bias, 0, group), options));
    transposed.push_back(conv_transpose2d(part(x, 3, group), part(wt, 0, group), {}, options));
  }
  const auto near = [](const Tensor& a, const Tensor& b) {
    REQUIRE(a.shape() == b.shape());
    CHECK(std::sqrt(sum_squares(a - b).item() / sum_squares(b).item()) < 1e-14);
  };
  near(conv2d(x, w, bias, grouped), cat(parts, 3));
  near(conv_transpose2d(x, wt, {}, grouped), cat(transposed, 3));
  CHECK(conv_transpose2d(x, wt, {}, grouped).shape() == Shape{2, 11, 9, 8});
}

TEST_CASE("pinned filters give the same values to rounding, and are forgotten when unpinned") {
  const struct {
    Shape x, filter;
    std::int64_t stride, padding, groups = 1;
  } cases[] = {{{2, 8, 8, 40}, {48, 4, 4, 40}, 2, 1},    // Winograd, one tile to an image
               {{2, 16, 16, 32}, {35, 4, 4, 32}, 2, 1},  // and several
               {{3, 6, 5, 7}, {19, 3, 3, 7}, 1, 1},
               {{3, 4, 4, 9}, {21, 4, 4, 9}, 1, 0},     // a plain product
               {{3, 6, 5, 8}, {6, 3, 3, 4}, 1, 1, 2}};  // in groups
  for (const auto& [x_shape, filter, stride, padding, groups] : cases) {
    const ConvGeometry s =
        conv_geometry(x_shape, filter, {.stride = stride, .padding = padding, .groups = groups});
    CAPTURE(str(s));
    for (const Dtype dtype : {Dtype::f32, Dtype::f64, Dtype::bf16}) {
      const Dtype sums = computed(dtype);
      const Tensor x = normal(s.in_shape(), sums).to(dtype), g = normal(s.out_shape(), sums).to(dtype);
      const Tensor w = normal(s.filter_shape(), sums), other = normal(s.filter_shape(), sums);
      const auto check = [&](const Tensor& used, const Tensor& same) {
        const ConvOracle expected(s, values_of(x), values_of(same), values_of(g));
        const double tolerance = allowed(dtype) * (dtype == Dtype::bf16 ? 2.0 : 1.0);  // the larger tile
        CHECK(relative_error(conv2d_forward(s, x, used), expected.out) <= tolerance);
        CHECK(relative_error(conv2d_grad_x(s, g, used), expected.grad_x) <= tolerance);
      };
      {
        const PinnedWeights pinned({w});
        {
          const PinnedWeights again({w});
          check(w, w);
        }
        check(w, w);
        for (int i = 0; i < 3; ++i) check(other.clone(), other);
      }
      w.copy_from(other);
      check(w, other);
      const PinnedWeights pinned({w});
      check(w, other);
    }
  }
}

TEST_CASE("conv2d and conv_transpose2d give the sizes PyTorch gives, and the oracle's values") {
  for (const Dtype dtype : {Dtype::f64, Dtype::f32}) {
    const double tolerance = allowed(dtype);
    const Tensor bias = normal({5}, dtype);
    for (const auto& [kernel, stride, padding] :
         {Window{4, 2, 1}, Window{4, 1, 0}, Window{3, 1, 1}, Window{5, 3, 2}}) {
      const Tensor x = normal({3, 6, 7, 2}, dtype), w = normal({5, kernel, kernel, 2}, dtype);
      const ConvGeometry s = conv_geometry(x.shape(), w.shape(), {stride, padding});
      CHECK(s.out_h == (6 + 2 * padding - kernel) / stride + 1);
      const Tensor out = conv2d(x, w, bias, {stride, padding}, {leaky});
      const Values zeros(static_cast<std::size_t>(out.numel()));
      const ConvOracle expected(s, x.to_vector<double>(), w.to_vector<double>(), zeros);
      CHECK(relative_error(out, expected.out, bias, leaky) <= tolerance);

      const Tensor small = normal({3, 6, 7, 2}, dtype), wt = normal({2, kernel, kernel, 5}, dtype);
      const ConvGeometry t = conv_transpose_geometry(small.shape(), wt.shape(), {stride, padding});
      CHECK(t.in_shape() ==
            Shape{3, 5 * stride - 2 * padding + kernel, 6 * stride - 2 * padding + kernel, 5});
      CHECK(t.out_shape() == small.shape());
      const Tensor large = conv_transpose2d(small, wt, bias, {stride, padding}, {hyperbolic});
      const Values image(static_cast<std::size_t>(large.numel()));
      const ConvOracle transposed(t, image, wt.to_vector<double>(), small.to_vector<double>());
      CHECK(large.shape() == t.in_shape());
      CHECK(relative_error(large, transposed.grad_x, bias, hyperbolic) <= tolerance);
    }
  }
}

TEST_CASE("the passes are each other's adjoints: <conv(x, w), g> = <x, grad_x(g, w)> = <w, grad_w(g, x)>") {
  for (const auto& [kernel, stride, padding] :
       {Window{4, 2, 1}, Window{7, 3, 2}, Window{8, 1, 7}, Window{1, 2, 0}}) {
    const ConvGeometry s = conv_geometry({5, 13, 10, 6}, {9, kernel, kernel, 6}, {stride, padding});
    const Tensor x = normal(s.in_shape(), Dtype::f64), w = normal(s.filter_shape(), Dtype::f64),
                 g = normal(s.out_shape(), Dtype::f64);
    const auto inner = [](const Tensor& a, const Tensor& b) { return sum(mul(a, b)).item(); };
    const double forward = inner(conv2d_forward(s, x, w), g);
    CHECK(inner(x, conv2d_grad_x(s, g, w)) == doctest::Approx(forward).epsilon(1e-11));
    CHECK(inner(w, conv2d_grad_w(s, g, x)) == doctest::Approx(forward).epsilon(1e-11));
  }
}

TEST_CASE("strided operands, empty batches") {
  const Tensor x = normal({2, 3, 6, 5}, Dtype::f64).permute({0, 2, 3, 1});  // stored as N,C,H,W
  const Tensor w = normal({4, 3, 2, 2}, Dtype::f64).permute({0, 2, 3, 1});
  CHECK(conv2d(x, w, {}, {1, 0}).to_vector<double>() ==
        conv2d(x.clone(), w.clone(), {}, {1, 0}).to_vector<double>());
  const ConvGeometry s = conv_geometry({0, 6, 5, 3}, w.shape(), {1, 1});
  CHECK(conv2d_forward(s, Tensor::empty(s.in_shape(), Dtype::f64), w).shape() == Shape{0, 7, 6, 4});
  CHECK(conv2d_grad_x(s, Tensor::empty(s.out_shape(), Dtype::f64), w).shape() == s.in_shape());
  const Tensor none =
      conv2d_grad_w(s, Tensor::empty(s.out_shape(), Dtype::f64), Tensor::empty(s.in_shape(), Dtype::f64));
  CHECK(none.to_vector<double>() == Values(48));
}

TEST_CASE("errors say which shapes do not fit") {
  const auto refusal = [](const Shape& x, const Shape& filter, const ConvOptions& options, bool transposed) {
    try {
      (transposed ? conv_transpose_geometry : conv_geometry)(x, filter, options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const auto message = [&](const Shape& x, const Shape& filter, Pair stride, Pair padding, bool transposed) {
    return refusal(x, filter, {stride, padding}, transposed);
  };
  CHECK(message({1, 5, 5, 3}, {2, 3, 3, 4}, 1, 0, false) ==
        "conv2d: image [1, 5, 5, 3] (N,H,W,C) and filter [2, 3, 3, 4] (Cout,kH,kW,Cin/groups), stride 1, "
        "padding 0");
  CHECK(message({1, 2, 5, 3}, {2, 3, 3, 3}, 1, 0, false) ==
        "conv2d: filter [2, 3, 3, 3] is larger than image [1, 2, 5, 3] with padding 0");
  CHECK(message({1, 2, 5, 3}, {2, 3, 3, 3}, {1, 2}, {0, 1}, false) ==
        "conv2d: filter [2, 3, 3, 3] is larger than image [1, 2, 5, 3] with padding 0x1");
  CHECK(message({1, 5, 5, 3}, {4, 3, 3, 2}, 1, 0, true) ==
        "conv_transpose2d: image [1, 5, 5, 3] (N,H,W,C) and filter [4, 3, 3, 2] (Cin,kH,kW,Cout/groups), "
        "stride 1, "
        "padding 0");
  CHECK(message({1, 1, 1, 3}, {3, 2, 2, 2}, 1, 1, true) ==
        "conv_transpose2d: image [1, 1, 1, 3], filter [3, 2, 2, 2], padding 1 leave no pixel");
  CHECK(refusal({1, 5, 5, 3}, {3, 3, 3, 3}, {.stride = {2, 3}, .output_padding = {1, 3}}, true) ==
        "conv_transpose2d: output_padding 1x3, expected at least 0 and less than the stride, 2x3");
  CHECK(refusal({1, 5, 5, 3}, {3, 3, 3, 3}, {.stride = 2, .output_padding = -1}, true) ==
        "conv_transpose2d: output_padding -1, expected at least 0 and less than the stride, 2");
  CHECK(refusal({1, 5, 5, 3}, {3, 3, 3, 3}, {.stride = 2, .output_padding = 1}, false) ==
        "conv2d: output_padding 1; only conv_transpose2d has one");
  for (const bool transposed : {false, true}) {
    CHECK(message({1, 5, 5, 3}, {3, 3, 3, 3}, 0, 0, transposed) != "");
    CHECK(message({1, 5, 5, 3}, {3, 3, 3, 3}, 1, -1, transposed) != "");
    CHECK(message({1, 5, 5, 3}, {3, 3, 3, 3}, {1, 0}, 0, transposed) != "");
    CHECK(message({1, 5, 5, 3}, {3, 3, 3, 3}, 1, {0, -1}, transposed) != "");
    CHECK(message({1, 5, 5, 3}, {3, 0, 3, 3}, 1, 0, transposed) != "");
    CHECK(message({1, 5, 5, 0}, {0, 3, 3, 0}, 1, 0, transposed) != "");
    CHECK(message({5, 5, 3}, {3, 3, 3, 3}, 1, 0, transposed) != "");
    for (const ConvOptions& bad :
         {ConvOptions{.dilation = 0}, {.dilation = {1, -1}}, {.groups = 0}, {.groups = -3}})
      CHECK(refusal({1, 5, 5, 3}, {3, 3, 3, 3}, bad, transposed) != "");
  }
  CHECK(refusal({1, 5, 5, 4}, {4, 3, 3, 4}, {.dilation = {2, 0}}, false) ==
        "conv2d: stride 1, padding 0, dilation 2x0, groups 1, expected at least 1, 0, 1, 1");
  CHECK(refusal({1, 5, 5, 4}, {4, 3, 3, 4}, {.groups = 2}, false) ==
        "conv2d: image [1, 5, 5, 4] (N,H,W,C) and filter [4, 3, 3, 4] (Cout,kH,kW,Cin/groups), stride 1, "
        "padding 0, groups 2");
  CHECK(refusal({1, 5, 5, 4}, {3, 3, 3, 2}, {.groups = 2}, false) ==
        "conv2d: 4 channels in and 3 out do not divide into 2 groups");
  CHECK(refusal({1, 5, 5, 3}, {3, 3, 3, 2}, {.groups = 2}, true) ==
        "conv_transpose2d: 3 channels in and 4 out do not divide into 2 groups");
  CHECK(refusal({1, 5, 6, 3}, {2, 3, 3, 3}, {.padding = {0, 2}, .dilation = 3}, false) ==
        "conv2d: filter [2, 3, 3, 3] is larger than image [1, 5, 6, 3] with padding 0x2, dilation 3");
  CHECK(message({1, 0, 5, 3}, {3, 3, 3, 3}, 1, 0, true) != "");
  const Tensor x = normal({1, 5, 5, 3}, Dtype::f64), w = normal({2, 3, 3, 3}, Dtype::f64);
  CHECK_THROWS_WITH_AS(conv2d(x, w, normal({3}, Dtype::f64), {1, 0}), "conv2d: bias [3] for 2 channels",
                       Error);
  CHECK_THROWS_AS(conv2d(x, w.to(Dtype::f32), {}, {1, 0}), Error);
  CHECK_THROWS_AS(conv2d_grad_w(conv_geometry(x.shape(), w.shape(), {1, 0}), x, x), Error);
}
