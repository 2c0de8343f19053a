/// What the CUDA backend asks of the libraries, against what their documentation defines: the arguments of
/// matrix products, the descriptors of convolutions. The library's side is played by the plainest program that
/// follows its documentation. Numbers are small integers, so that sums are exact in any order.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "tensor/cuda/launch.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/watch/trace.h"
#include "tests/conv_oracle.h"

using namespace damc;

namespace {

using Values = std::vector<double>;

/// Whole numbers -8 .. 8.
Tensor integers(const Shape& shape, Dtype dtype, std::uint64_t seed) {
  Values values = Generator(seed).uniform(shape, Dtype::f64).to_vector<double>();
  for (double& value : values) value = std::floor(17.0 * value) - 8.0;
  return Tensor::from(values, shape).to(dtype);
}

/// ?gemm by its definition: C = op(A) op(B), column-major, with the conditions that its documentation puts on
/// leading dimensions; once per batch, operands moving by their strides.
template <class T>
void blas_gemm(const GemmCall& call) {
  REQUIRE(call.m >= 1);
  REQUIRE(call.n >= 1);
  REQUIRE(call.k >= 1);
  REQUIRE(call.A.ld >= std::max<std::int64_t>(1, call.A.transposed ? call.k : call.m));
  REQUIRE(call.B.ld >= std::max<std::int64_t>(1, call.B.transposed ? call.n : call.k));
  REQUIRE(call.ldc >= std::max<std::int64_t>(1, call.m));
  const auto element = [](const GemmCall::Operand& X, std::int64_t batch, std::int64_t i, std::int64_t j) {
    const T* data = static_cast<const T*>(X.data) + batch * X.batch_stride;
    return X.transposed ? data[j + X.ld * i] : data[i + X.ld * j];
  };
  for (std::int64_t batch = 0; batch < call.batches; ++batch) {
    T* C = static_cast<T*>(call.C) + batch * call.batch_stride_c;
    for (std::int64_t j = 0; j < call.n; ++j) {
      for (std::int64_t i = 0; i < call.m; ++i) {
        T sum = T(0);
        for (std::int64_t p = 0; p < call.k; ++p)
          sum += element(call.A, batch, i, p) * element(call.B, batch, p, j);
        C[i + call.ldc * j] = sum;
      }
    }
  }
}

/// cublasLtMatmul with CUBLASLT_EPILOGUE_BIAS by its definition: D = op(A) op(B) + bias, matrices stored
/// column-major as their layouts say, one bias for each row of D.
template <class T>
void lt_matmul(const LtProduct& p, const GemmCall& call, const Tensor& bias) {
  const auto rows = [](const LtProduct::Layout& l, bool transposed) { return transposed ? l.cols : l.rows; };
  const auto cols = [](const LtProduct::Layout& l, bool transposed) { return transposed ? l.rows : l.cols; };
  const std::uint64_t inner = cols(p.A, p.transposed_a);
  REQUIRE(rows(p.B, p.transposed_b) == inner);
  REQUIRE(rows(p.A, p.transposed_a) == p.D.rows);
  REQUIRE(cols(p.B, p.transposed_b) == p.D.cols);
  REQUIRE(bias.numel() == static_cast<std::int64_t>(p.D.rows));
  for (const LtProduct::Layout* l : {&p.A, &p.B, &p.D}) {
    REQUIRE(l->rows >= 1);
    REQUIRE(l->cols >= 1);
    REQUIRE(l->ld >= static_cast<std::int64_t>(l->rows));
  }
  const auto at = [](const LtProduct::Layout& l, bool transposed, std::uint64_t i, std::uint64_t j) {
    if (transposed) std::swap(i, j);
    REQUIRE((i < l.rows && j < l.cols));
    return i + static_cast<std::uint64_t>(l.ld) * j;
  };
  const T *A = static_cast<const T*>(call.A.data), *B = static_cast<const T*>(call.B.data);
  for (std::uint64_t j = 0; j < p.D.cols; ++j) {
    for (std::uint64_t i = 0; i < p.D.rows; ++i) {
      T sum = bias.data<T>()[i];
      for (std::uint64_t k = 0; k < inner; ++k)
        sum += A[at(p.A, p.transposed_a, i, k)] * B[at(p.B, p.transposed_b, k, j)];
      static_cast<T*>(call.C)[at(p.D, false, i, j)] = sum;
    }
  }
}

/// Stands for the CPU and multiplies by the calls that the CUDA backend makes of a product: so the products
/// that come here are just those that tensor/ops.cpp passes to a backend.
class BlasCalls final : public ObservedBackend {
 public:
  explicit BlasCalls(int& count)
      : ObservedBackend(backend(Device{}), [](const char*, const Tensor&, const auto& call) { call(); }),
        count_(count) {}
  void gemm(const Tensor& a, const Tensor& b, const Tensor& bias, const ProductOptions& options,
            const Tensor& out) override {
    ++count_;
    out.fill(99.0);
    const GemmCall call = gemm_call(a, b, out);
    if (lt_finishes(bias, options.activation, out)) {
      const LtProduct product = lt_product(call, bias.raw());
      out.dtype() == Dtype::f32 ? lt_matmul<float>(product, call, bias)
                                : lt_matmul<double>(product, call, bias);
    } else {
      out.dtype() == Dtype::f32 ? blas_gemm<float>(call) : blas_gemm<double>(call);
    }
  }

 private:
  int& count_;
};

/// a b by its definition; [B, M, K] and [B, K, N].
Values product(const Tensor& a, const Tensor& b) {
  const std::int64_t rows = a.size(-2), inner = a.size(-1), cols = b.size(-1);
  const std::int64_t batches = a.ndim() == 3 ? a.size(0) : 1;
  const Values x = a.to_vector<double>(), y = b.to_vector<double>();
  Values out(static_cast<std::size_t>(batches * rows * cols));
  for (std::int64_t batch = 0; batch < batches; ++batch)
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < cols; ++j)
        for (std::int64_t p = 0; p < inner; ++p)
          out[static_cast<std::size_t>((batch * rows + i) * cols + j)] +=
              x[static_cast<std::size_t>((batch * rows + i) * inner + p)] *
              y[static_cast<std::size_t>((batch * inner + p) * cols + j)];
  return out;
}

/// Tensors of one shape [rows, cols] or [batches, rows, cols] that lie in memory in every way that views can
/// bring about; around them lie other numbers.
std::vector<Tensor> layouts(const Shape& shape, Dtype dtype) {
  const int n = shape.ndim(), row = n - 2, col = n - 1;
  std::uint64_t seed = 1;
  const auto fresh = [&](const Shape& s) { return integers(s, dtype, seed++); };
  const auto swapped = [](Shape s, int a, int b) {
    std::swap(s[a], s[b]);
    return s;
  };
  /// Cut out of a larger tensor, from the middle.
  const auto cut = [&](const Shape& s, const std::vector<int>& dims) {
    Shape larger = s;
    for (const int d : dims) larger[d] += 3;
    Tensor t = fresh(larger);
    for (const int d : dims) t = t.narrow(d, 1, s[d]);
    return t;
  };
  const auto repeated = [&](const std::vector<int>& dims) {
    Shape once = shape;
    for (const int d : dims) once[d] = 1;
    return fresh(once).expand(shape);
  };
  const Shape turned = swapped(shape, row, col);
  std::vector<Tensor> all{fresh(shape),
                          cut(shape, {row}),
                          cut(shape, {col}),
                          cut(shape, {row, col}),
                          fresh(turned).transpose(row, col),
                          cut(turned, {row, col}).transpose(row, col),
                          repeated({row}),
                          repeated({col}),
                          repeated({row, col})};
  if (n == 2) {
    all.push_back(fresh({shape[0], shape[1], 2}).narrow(2, 1, 1).reshape(shape));
    all.push_back(fresh({2, shape[0], shape[1]}).narrow(0, 1, 1).reshape(shape));
    return all;
  }
  all.push_back(repeated({0}));
  all.push_back(cut(shape, {0}));
  all.push_back(fresh(swapped(shape, 0, row)).transpose(0, row));  // batches lie between the rows
  all.push_back(fresh(swapped(shape, 0, col)).transpose(0, col));  // no unit stride in the last two
  all.push_back(fresh({shape[1], shape[2], shape[0]}).permute({2, 0, 1}));
  all.push_back(fresh({shape[2], shape[0], shape[1]}).permute({1, 2, 0}));  // columns outermost
  all.push_back(cut(swapped(turned, 0, row), {0, row, col}).transpose(0, row).transpose(row, col));
  return all;
}

constexpr std::int64_t product_sizes[] = {1, 2, 3, 5};

void check_products(const std::vector<std::int64_t>& batch, Dtype dtype) {
  const auto with_batch = [&](std::int64_t rows, std::int64_t cols) {
    Shape shape;
    for (const std::int64_t size : batch) shape.push_back(size);
    shape.push_back(rows);
    shape.push_back(cols);
    return shape;
  };
  for (const std::int64_t m : product_sizes) {
    for (const std::int64_t k : product_sizes) {
      for (const std::int64_t n : product_sizes) {
        for (const Tensor& a : layouts(with_batch(m, k), dtype)) {
          for (const Tensor& b : layouts(with_batch(k, n), dtype)) {
            int calls = 0;
            const BackendOverride blas(Device{}, std::make_unique<BlasCalls>(calls));
            const Values got = matmul(a, b).to_vector<double>();
            if (got == product(a, b) && calls == 1) continue;
            FAIL_CHECK("a ", a.shape().str(), " strides ", a.strides().str(), ", b ", b.shape().str(),
                       " strides ", b.strides().str(), ", ", calls, " calls");
          }
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("matrix products of all layouts, as one BLAS call each") {
  check_products({}, Dtype::f32);
  check_products({}, Dtype::f64);
}

TEST_CASE("batched matrix products of all layouts, as one BLAS call each") {
  check_products({1}, Dtype::f32);
  check_products({3}, Dtype::f32);
}

TEST_CASE("linear layers of all layouts: x w^T") {
  for (const std::int64_t rows : product_sizes) {
    for (const std::int64_t in : product_sizes) {
      for (const std::int64_t out : product_sizes) {
        for (const Tensor& x : layouts({rows, in}, Dtype::f32)) {
          for (const Tensor& w : layouts({out, in}, Dtype::f32)) {
            int calls = 0;
            const BackendOverride blas(Device{}, std::make_unique<BlasCalls>(calls));
            const Values got = linear(x, w, {}).to_vector<double>();
            if (got == product(x, w.transpose(0, 1)) && calls == 1) continue;
            FAIL_CHECK("x ", x.shape().str(), " strides ", x.strides().str(), ", w ", w.shape().str(),
                       " strides ", w.strides().str(), ", ", calls, " calls");
          }
        }
      }
    }
  }
}

TEST_CASE("linear layers with a bias, as one cublasLt call") {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const std::int64_t rows : {1, 3}) {
      for (const std::int64_t in : {1, 5}) {
        for (const std::int64_t out : {1, 2, 3}) {
          const Tensor bias = integers({out}, dtype, 77);
          const Values added = bias.to_vector<double>();
          for (const Tensor& x : layouts({rows, in}, dtype)) {
            for (const Tensor& w : layouts({out, in}, dtype)) {
              Values wanted = product(x, w.transpose(0, 1));
              for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] += added[i % added.size()];
              int calls = 0;
              const BackendOverride blas(Device{}, std::make_unique<BlasCalls>(calls));
              if (linear(x, w, bias).to_vector<double>() == wanted && calls == 1) continue;
              FAIL_CHECK("x ", x.shape().str(), " strides ", x.strides().str(), ", w ", w.shape().str(),
                         " strides ", w.strides().str(), ", ", calls, " calls");
            }
          }
        }
      }
    }
  }
}

TEST_CASE("cublasLt finishes a product with a bias alone") {
  const Tensor matrix = Tensor::zeros({2, 3}), batch = Tensor::zeros({2, 2, 3}), bias = Tensor::zeros({3});
  const Unary leaky{UnaryOp::leaky_relu, 0.2};
  CHECK(lt_finishes(bias, {}, matrix));
  CHECK_FALSE(lt_finishes(bias, leaky, matrix));
  CHECK_FALSE(lt_finishes({}, leaky, matrix));
  CHECK_FALSE(lt_finishes({}, {}, matrix));
  CHECK_FALSE(lt_finishes(bias, {}, batch));
}

TEST_CASE("an algorithm is chosen anew where an address is less aligned") {
  const auto aligned = [](std::uintptr_t address) {
    return alignment(reinterpret_cast<const void*>(address));
  };
  CHECK(aligned(0x7f0000000400) == 256);
  CHECK(aligned(0x7f0000000100) == 256);
  CHECK(aligned(0x7f0000000110) == 16);
  CHECK(aligned(0x7f0000000008) == 8);
  CHECK(aligned(0x7f0000000004) == 4);
  CHECK(aligned(0x7f00000000c0) == 64);

  const Tensor x = Tensor::zeros({4, 64}), w = Tensor::zeros({8, 64}), out = Tensor::zeros({2, 8});
  const auto key = [&](const Tensor& rows, const Tensor& bias) {
    return lt_product(gemm_call(rows, w.transpose(0, 1), out.narrow(0, 0, rows.size(0))), bias.raw());
  };
  const Tensor biases = Tensor::zeros({16}), bias = biases.narrow(0, 0, 8);
  CHECK(key(x.narrow(0, 0, 2), bias) == key(x.narrow(0, 2, 2), bias));  // 512 bytes on
  CHECK_FALSE(key(x.narrow(0, 0, 2), bias) == key(x.narrow(0, 2, 1), bias));
  CHECK_FALSE(key(x.narrow(0, 0, 2), bias) == key(x.narrow(1, 1, 63).narrow(0, 0, 2), bias));
  CHECK_FALSE(key(x.narrow(0, 0, 2), bias) == key(x.narrow(0, 0, 2), biases.narrow(0, 1, 8)));
}

TEST_CASE("products without elements or without terms reach no library") {
  int calls = 0;
  const BackendOverride blas(Device{}, std::make_unique<BlasCalls>(calls));
  for (const auto& [m, k, n] : {std::array{0, 3, 2}, std::array{2, 0, 3}, std::array{2, 3, 0}}) {
    const Tensor out = matmul(Tensor::zeros({m, k}), Tensor::zeros({k, n}));
    CHECK(out.to_vector<double>() == Values(static_cast<std::size_t>(m * n)));
  }
  CHECK(linear(Tensor::zeros({0, 3}), Tensor::zeros({2, 3}), {}).shape() == Shape{0, 2});
  CHECK(calls == 0);
}

// Convolutions --------------------------------------------------------------------------------------------

namespace {

/// The three passes as cuDNN's documentation defines them for a cross-correlation, memory addressed through
/// dims and strides alone:  y[n,k,p,q] = sum over c,r,s of x[n, c, p u + r l - pad, q v + s l - pad] w[k,c,r,s],
/// where c counts from the first channel of the group that k is in
ConvOracle by_descriptors(const ConvDescriptors& d, const Values& x, const Values& w, const Values& g) {
  ConvOracle found({}, {}, {}, {});
  found.out.values.resize(g.size());
  found.grad_x.values.resize(x.size());
  found.grad_w.values.resize(w.size());
  const auto at = [](const std::array<std::int64_t, 4>& strides, std::int64_t a, std::int64_t b,
                     std::int64_t c, std::int64_t e) {
    return static_cast<std::size_t>(a * strides[0] + b * strides[1] + c * strides[2] + e * strides[3]);
  };
  const std::int64_t filters = d.w_dims[0] / (d.x_dims[1] / d.w_dims[1]);  // of a group
  for (std::int64_t n = 0; n < d.y_dims[0]; ++n)
    for (std::int64_t k = 0; k < d.y_dims[1]; ++k)
      for (std::int64_t p = 0; p < d.y_dims[2]; ++p)
        for (std::int64_t q = 0; q < d.y_dims[3]; ++q)
          for (std::int64_t c = 0; c < d.w_dims[1]; ++c)
            for (std::int64_t r = 0; r < d.w_dims[2]; ++r)
              for (std::int64_t s = 0; s < d.w_dims[3]; ++s) {
                const std::int64_t h = p * d.stride[0] + r * d.dilation[0] - d.padding[0];
                const std::int64_t v = q * d.stride[1] + s * d.dilation[1] - d.padding[1];
                if (h < 0 || h >= d.x_dims[2] || v < 0 || v >= d.x_dims[3]) continue;
                const std::size_t ix = at(d.x_strides, n, k / filters * d.w_dims[1] + c, h, v),
                                  iw = at(d.w_strides, k, c, r, s), iy = at(d.y_strides, n, k, p, q);
                found.out.values.at(iy) += x.at(ix) * w.at(iw);
                found.grad_x.values.at(ix) += g.at(iy) * w.at(iw);
                found.grad_w.values.at(iw) += g.at(iy) * x.at(ix);
              }
  return found;
}

/// Values of N,H,W,C in the order N,C,H,W.
Values channels_second(const Values& values, const Shape& shape) {
  return Tensor::from(values, shape).permute({0, 3, 1, 2}).to_vector<double>();
}

void check_convolution(const ConvGeometry& s) {
  CAPTURE(s.in_shape().str());
  CAPTURE(s.filter_shape().str());
  CAPTURE(s.str());
  const Values x = integers(s.in_shape(), Dtype::f64, 1).to_vector<double>(),
               w = integers(s.filter_shape(), Dtype::f64, 2).to_vector<double>(),
               g = integers(s.out_shape(), Dtype::f64, 3).to_vector<double>();
  const ConvOracle expected(s, x, w, g);
  for (const Channels channels : {Channels::last, Channels::second}) {
    const ConvDescriptors d = conv_descriptors(s, channels);
    CHECK(d.x_dims[0] == d.y_dims[0]);
    CHECK(d.x_dims[1] == d.w_dims[1] * s.groups);
    CHECK(d.w_dims[0] == d.y_dims[1]);
    const auto lie = [&](const Values& values, const Shape& shape) {
      return channels == Channels::last ? values : channels_second(values, shape);
    };
    const ConvOracle found =
        by_descriptors(d, lie(x, s.in_shape()), lie(w, s.filter_shape()), lie(g, s.out_shape()));
    CHECK(found.out.values == lie(expected.out.values, s.out_shape()));
    CHECK(found.grad_x.values == lie(expected.grad_x.values, s.in_shape()));
    CHECK(found.grad_w.values == lie(expected.grad_w.values, s.filter_shape()));
  }
}

}  // namespace

TEST_CASE("convolution descriptors describe memory of both orders and the sizes that cuDNN expects") {
  for (const std::int64_t kernel : {1, 3, 4}) {
    for (const std::int64_t stride : {1, 2, 3}) {
      for (const std::int64_t padding : {0, 1, 2}) {
        for (const auto& [in_c, out_c] : {std::array{1, 1}, std::array{3, 2}, std::array{1, 4}}) {
          const ConvGeometry s =
              conv_geometry({2, 6, 5, in_c}, {out_c, kernel, kernel, in_c}, {stride, padding});
          const ConvDescriptors d = conv_descriptors(s, Channels::last);
          for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
            // outputDim = 1 + (inputDim + 2 pad - ((filterDim - 1) dilation + 1)) / stride
            CHECK(d.y_dims[2 + side] == 1 + (d.x_dims[2 + side] + 2 * d.padding[side] -
                                             ((d.w_dims[2 + side] - 1) * d.dilation[side] + 1)) /
                                                d.stride[side]);
          }
          check_convolution(s);
        }
      }
    }
  }
  check_convolution(conv_geometry({3, 4, 7, 2}, {5, 4, 3, 2}, {1, 1}));  // neither image nor filter is square
  check_convolution(conv_geometry({2, 6, 9, 3}, {4, 1, 7, 3}, {{1, 2}, {0, 3}}));
  check_convolution(conv_geometry({1, 4, 4, 3}, {2, 4, 4, 3}, {1, 0}));  // a filter as large as the image
  check_convolution(conv_geometry({2, 9, 7, 3}, {4, 3, 2, 3}, {.padding = 1, .dilation = {2, 3}}));
  check_convolution(conv_geometry({2, 5, 6, 6}, {4, 3, 3, 3}, {.stride = 2, .padding = 1, .groups = 2}));
  check_convolution(conv_geometry({2, 5, 6, 3}, {6, 3, 3, 1}, {.dilation = 2, .groups = 3}));
}

TEST_CASE("a convolution with a single output pixel is a matrix product in every pass") {
  for (const ConvGeometry& s :
       {conv_geometry({3, 4, 5, 2}, {7, 4, 5, 2}, {1, 0}), conv_geometry({1, 1, 1, 3}, {2, 1, 1, 3}, {2, 0}),
        conv_transpose_geometry({3, 1, 1, 5}, {5, 4, 4, 2}, {1, 0})}) {
    CAPTURE(s.in_shape().str());
    CAPTURE(s.filter_shape().str());
    REQUIRE(s.is_gemm());
    const Tensor x = integers(s.in_shape(), Dtype::f64, 1), w = integers(s.filter_shape(), Dtype::f64, 2),
                 g = integers(s.out_shape(), Dtype::f64, 3);
    const ConvOracle expected(s, x.to_vector<double>(), w.to_vector<double>(), g.to_vector<double>());
    const auto run = [&](ConvPass pass, const Tensor& in, const Tensor& filter, const Tensor& out) {
      const ConvProduct product = conv_product(pass, s, in, filter, out);
      blas_gemm<double>(gemm_call(product.a, product.b, product.out));
    };
    const Tensor y = g.clone(), gx = x.clone(), gw = w.clone();
    run(ConvPass::forward, x, w, y);
    run(ConvPass::grad_x, gx, w, g);
    run(ConvPass::grad_w, x, gw, g);
    CHECK(y.to_vector<double>() == expected.out.values);
    CHECK(gx.to_vector<double>() == expected.grad_x.values);
    CHECK(gw.to_vector<double>() == expected.grad_w.values);
  }
}

TEST_CASE("the forms in which cuDNN is asked for a convolution") {
  const auto forms = [](ConvPass pass, const ConvTypes& types) {
    std::string text;
    for (const ConvForm& form : conv_forms(pass, types))
      text += std::string(form.channels == Channels::last ? " last " : " second ") + name(form.filter);
    return text;
  };
  CHECK(forms(ConvPass::forward, {Dtype::f32, Dtype::f32}) == " last f32 second f32");
  CHECK(forms(ConvPass::grad_w, {Dtype::f32, Dtype::f32}) == " last f32 second f32");
  CHECK(forms(ConvPass::grad_w, {Dtype::f64, Dtype::f64}) == " second f64");
  CHECK(forms(ConvPass::grad_x, {Dtype::bf16, Dtype::bf16}) == " last bf16 second bf16");
  CHECK(forms(ConvPass::grad_w, {Dtype::bf16, Dtype::f32}) == " last f32 last bf16 second f32 second bf16");
}

TEST_CASE("descriptors of transposed convolutions: their input gradient pass is the forward pass") {
  check_convolution(conv_transpose_geometry({2, 1, 1, 3}, {3, 4, 4, 2}, {1, 0}));
  check_convolution(conv_transpose_geometry({2, 3, 4, 3}, {3, 4, 4, 2}, {2, 1}));
  check_convolution(
      conv_transpose_geometry({1, 3, 3, 2}, {2, 2, 3, 3}, {3, 1}));  // rim pixels that no tap reaches
  check_convolution(conv_transpose_geometry({1, 3, 2, 3}, {3, 1, 1, 2}, {2, 0}));  // gaps between the taps
  check_convolution(conv_transpose_geometry({2, 3, 4, 6}, {6, 3, 2, 2}, {.dilation = {2, 1}, .groups = 3}));
}
