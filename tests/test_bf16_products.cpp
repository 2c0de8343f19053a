/// The CPU's bf16 products: the kernel against sums in f64, AVX512-BF16 against the plain form, what is fused into a
/// convolution against passes of their own, and the same bits for any number of threads.
#include <doctest/doctest.h>
#include <omp.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tensor/backend.h"
#include "tensor/cpu/packed.h"
#include "tensor/cpu/transposed_product.h"
#include "tensor/ops.h"
#include "tensor/random.h"

using namespace damc;

namespace {

struct Size {
  std::int64_t m, n, k;
};

std::vector<bf16> draw(std::int64_t count) {
  static Generator random(3);
  return random.normal({count}).to(Dtype::bf16).to_vector<bf16>();
}

/// a [m, k] b [k, n] by the packed kernel.
std::vector<float> product(const Size& s, const std::vector<bf16>& a, const std::vector<bf16>& b) {
  HostPool pool;
  PackedMatrices<bf16> packed(pool, 1, s.k, s.n);
  packed.pack(0, Matrix<bf16>{b.data(), s.n});
  std::vector<float> c(static_cast<std::size_t>(s.m * s.n));
  gemm<bf16>(s.m, a.data(), s.k, 0, packed, c.data(), s.n, 0, [](auto...) {});
  return c;
}

/// Whether c[i, j] is the sum of a's row i times b's column j, within the rounding of f32 sums.
template <class A>
void check_sums(const Size& s, const A& a_at, const std::vector<bf16>& b, const std::vector<float>& c) {
  for (std::int64_t i = 0; i < s.m; ++i) {
    for (std::int64_t j = 0; j < s.n; ++j) {
      double sum = 0.0, size = 0.0;
      for (std::int64_t l = 0; l < s.k; ++l) {
        const double term = static_cast<double>(float{a_at(i, l)}) *
                            static_cast<double>(float{b[static_cast<std::size_t>(l * s.n + j)]});
        sum += term;
        size += std::abs(term);
      }
      REQUIRE(std::abs(static_cast<double>(c[static_cast<std::size_t>(i * s.n + j)]) - sum) <=
              static_cast<double>(s.k + 1) * 0x1p-24 * size);
    }
  }
}

/// Values of all passes of a few convolutions: direct, Winograd's, of few channels, and of one pixel.
std::vector<float> convolutions() {
  std::vector<float> all;
  const auto add = [&](const Tensor& t) {
    for (const float value : t.to(Dtype::f32).to_vector<float>()) all.push_back(value);
  };
  for (const auto& [image, filter, stride, padding] :
       {std::tuple{Shape{5, 9, 8, 7}, Shape{19, 3, 3, 7}, 1, 1},
        {Shape{6, 16, 16, 32}, Shape{40, 4, 4, 32}, 2, 1},
        {Shape{5, 12, 12, 33}, Shape{3, 3, 3, 33}, 1, 1},
        {Shape{5, 9, 8, 64}, Shape{19, 3, 3, 64}, 1, 1},
        {Shape{9, 4, 4, 17}, Shape{300, 4, 4, 17}, 1, 0}}) {
    Generator random(8);
    const ConvGeometry s = conv_geometry(image, filter, {stride, padding});
    const Tensor x = random.normal(s.in_shape()).to(Dtype::bf16), w = random.normal(s.filter_shape()),
                 g = random.normal(s.out_shape()).to(Dtype::bf16);
    add(conv2d_grad_w(s, g, x));
    for (const bool pins : {false, true}) {
      const PinnedWeights pinned(pins ? std::vector{w} : std::vector<Tensor>{});
      add(conv2d_forward(s, x, w));
      add(conv2d_grad_x(s, g, w));
    }
  }
  return all;
}

}  // namespace

TEST_CASE("the kernel against f64: odd depths, and rows and columns beside whole panels") {
  for (const Size& s :
       {Size{1, 1, 1}, {3, 5, 2}, {8, 32, 64}, {9, 33, 7}, {13, 16, 27}, {17, 47, 128}, {130, 70, 61}}) {
    CAPTURE(s.m);
    const auto a = draw(s.m * s.k), b = draw(s.k * s.n);
    check_sums(
        s, [&](std::int64_t i, std::int64_t l) { return a[static_cast<std::size_t>(i * s.k + l)]; }, b,
        product(s, a, b));
  }
}

TEST_CASE("products over rows, a^T b: in blocks, added to what is there") {
  for (const Size& s : {Size{1, 1, 1}, {9, 33, 7}, {40, 70, 100}, {5, 6, 4099}}) {
    CAPTURE(s.k);
    const auto a = draw(s.k * s.m), b = draw(s.k * s.n);
    const auto at = [&](std::int64_t i, std::int64_t l) { return a[static_cast<std::size_t>(l * s.m + i)]; };
    HostPool pool;
    std::vector<float> c(static_cast<std::size_t>(s.m * s.n), std::nanf(""));
    const MatrixRows<bf16> rows{b.data(), s.n};
    transposed_product(pool, s.m, s.n, s.k, a.data(), rows, false, c.data());
    check_sums(s, at, b, c);
    std::vector<float> twice = c;
    transposed_product(pool, s.m, s.n, s.k, a.data(), rows, true, twice.data());
    for (std::size_t i = 0; i < c.size(); ++i)
      REQUIRE(twice[i] == doctest::Approx(2.0f * c[i]).epsilon(1e-4));
  }
}

TEST_CASE("a packed matrix is the same from its transpose, and rounded from f32") {
  const Size s{4, 50, 37};
  HostPool pool;
  const Tensor b = Generator(4).normal({s.k, s.n});
  const auto rounded = b.to(Dtype::bf16).to_vector<bf16>(), a = draw(s.m * s.k);
  const Tensor turned = b.transpose(0, 1).contiguous();
  PackedMatrices<bf16> rows(pool, 1, s.k, s.n), columns(pool, 1, s.k, s.n);
  rows.pack(0, Matrix<float>{b.data<float>(), s.n});
  columns.pack(0, Matrix<float>{turned.data<float>(), s.k, true});
  const auto wanted = product(s, a, rounded);
  for (const auto* packed : {&rows, &columns}) {
    std::vector<float> c(wanted.size());
    gemm<bf16>(s.m, a.data(), s.k, 0, *packed, c.data(), s.n, 0, [](auto...) {});
    CHECK(c == wanted);
  }
}

TEST_CASE("infinities and NaN stay in their rows, of an odd depth too") {
  const Size s{3, 20, 5};
  auto a = draw(s.m * s.k);
  const std::vector<bf16> b(static_cast<std::size_t>(s.k * s.n), bf16(0.5f));
  a[5] = bf16(std::numeric_limits<float>::infinity());  // the first of the second row
  a[14] = bf16(std::nanf(""));                          // the last of all
  const auto c = product(s, a, b);
  for (std::size_t j = 0; j < 20; ++j) {
    CHECK(std::isfinite(c[j]));
    CHECK(c[20 + j] == std::numeric_limits<float>::infinity());
    CHECK(std::isnan(c[40 + j]));
  }
}

TEST_CASE("the plain form computes what AVX512-BF16 does, but for subnormal numbers") {
  using F = Factors<bf16>;
  constexpr std::size_t lanes = sizeof(F::Sums) / sizeof(float);
  F::Sums fast{}, plain{};
  double size = 0.0;
  for (int step = 0; step < 100; ++step) {
    const auto a = draw(2), b = draw(2 * lanes);
    F::Vector pairs;
    std::memcpy(&pairs, b.data(), sizeof(pairs));
    F::add(fast, F::of_row(a.data()), pairs);
    F::add_plain(plain, F::of_row(a.data()), pairs);
    size += 20.0;  // more than two products of normal draws
  }
  for (std::size_t i = 0; i < lanes; ++i)
    CHECK(std::abs(static_cast<double>(fast[i] - plain[i])) < 0x1p-22 * size);
}

TEST_CASE("bias and activation within a convolution: of the rounded sum, as in passes of their own") {
  Generator random(6);
  const Unary leaky{UnaryOp::leaky_relu, 0.2};
  for (const bool winograd : {false, true}) {
    const std::int64_t kernel = winograd ? 4 : 3;
    const ConvGeometry s = conv_geometry({3, 8, 8, 32}, {36, kernel, kernel, 32}, {winograd ? 2 : 1, 1});
    const Tensor x = random.normal(s.in_shape()).to(Dtype::bf16), w = random.normal(s.filter_shape()),
                 g = random.normal(s.out_shape()).to(Dtype::bf16);
    const auto check = [&](const auto& pass, std::int64_t channels) {
      const Tensor bias = random.normal({channels});
      const Tensor sum = pass(Tensor(), Unary()).to(Dtype::f32);
      const Tensor wanted = unary(leaky, add(sum, bias.expand(sum.shape()))).to(Dtype::bf16);
      CHECK(pass(bias, leaky).to(Dtype::f32).template to_vector<float>() ==
            wanted.to(Dtype::f32).template to_vector<float>());
    };
    check([&](const Tensor& b, const Unary& f) { return conv2d_forward(s, x, w, b, {f}); }, 36);
    check([&](const Tensor& b, const Unary& f) { return conv2d_grad_x(s, g, w, b, {f}); }, 32);
  }
}

TEST_CASE("convolutions have the same bits for any number of threads") {
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto alone = convolutions();
  for (const int threads : {2, 3}) {
    omp_set_num_threads(threads);
    CHECK(convolutions() == alone);
  }
  omp_set_num_threads(before);
}
