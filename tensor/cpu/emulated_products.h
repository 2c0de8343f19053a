/// A GPU's tensor-core products on the CPU, for their numerics: slow. Those in tf32, and in bf16 the convolutions whose
/// taps lie apart or whose channels are grouped; the others have kernels of their own.
///
/// Operands are rounded as a tensor core takes them and multiplied by the f32 kernels, whose sums are f32 as the
/// tensor core's are. A bf16 product's sum is rounded to bf16 before bias and activation, which are a pass of their
/// own on a GPU as well. All other products go through untouched.
#pragma once

#include <bit>
#include <memory>

#include "tensor/product_options.h"
#include "tensor/weight_cache.h"

namespace damc {

namespace functor {

/// 10 bits after the leading one, to nearest, ties away from 0: PTX's cvt.rna.tf32
struct round_to_tf32 {
  float f(float x) const {
    const std::uint32_t bits = (std::bit_cast<std::uint32_t>(x) + 0x1000u) & ~0x1FFFu;
    return x == x ? std::bit_cast<float>(bits) : x;
  }
};

struct round_to_bf16 {
  float f(float x) const { return bf16(x); }
};

}  // namespace functor

/// `Exact` is the CPU's backend.
template <class Exact>
class EmulatedProducts final : public Exact {
 public:
  void gemm(const Tensor& a, const Tensor& b, const Tensor& bias, const ProductOptions& options,
            const Tensor& out) override {
    if (is_tf32(out, options.precision)) {
      Exact::gemm(tf32(a), tf32(b), bias, options, out);
    } else {
      Exact::gemm(a, b, bias, options, out);
    }
  }

  bool gated_linear(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& c,
                    const ProductOptions& options, const Tensor& out) override {
    return !is_tf32(x, options.precision) && Exact::gated_linear(x, w, b, c, options, out);
  }

  void conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Tensor& bias,
              const ProductOptions& options, const Tensor& out) override {
    convolve(s, x, filter, bias, options, out,
             [&](const Tensor& x1, const Tensor& filter1, const Tensor& bias1, const ProductOptions& o,
                 const Tensor& y) { Exact::conv2d(s, x1, filter1, bias1, o, y); });
  }
  void conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Tensor& bias,
                     const ProductOptions& options, const Tensor& out) override {
    convolve(s, g, filter, bias, options, out,
             [&](const Tensor& g1, const Tensor& filter1, const Tensor& bias1, const ProductOptions& o,
                 const Tensor& gx) { Exact::conv2d_grad_x(s, g1, filter1, bias1, o, gx); });
  }
  void conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x, MatmulPrecision precision,
                     const Tensor& out) override {
    if (x.dtype() == Dtype::bf16 && !s.is_dense()) {
      Exact::conv2d_grad_w(s, widened(g), widened(x), precision, out);
    } else if (is_tf32(x, precision)) {
      Exact::conv2d_grad_w(s, tf32(g), tf32(x), precision, out);
    } else {
      Exact::conv2d_grad_w(s, g, x, precision, out);
    }
  }

 private:
  /// product(x, filter, bias, options, out) is the exact convolution.
  template <class Product>
  void convolve(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Tensor& bias,
                const ProductOptions& options, const Tensor& out, const Product& product) {
    if (x.dtype() == Dtype::bf16 && !s.is_dense()) {
      const auto w = rounded_filter(functor::round_to_bf16{}, WeightCache::Form::bf16, filter);
      const Tensor sum = Tensor::empty(out.shape());
      product(widened(x), *w, Tensor(), ProductOptions{}, sum);
      this->template map<bf16, float>(functor::identity<float>{}, sum, out);
      this->finish(bias, options.activation, out);
    } else if (is_tf32(x, options.precision)) {
      const auto w = rounded_filter(functor::round_to_tf32{}, WeightCache::Form::tf32, filter);
      product(tf32(x), *w, bias, options, out);
    } else {
      product(x, filter, bias, options, out);
    }
  }

  static bool is_tf32(const Tensor& t, MatmulPrecision precision) {
    return t.dtype() == Dtype::f32 && precision == MatmulPrecision::tf32;
  }

  template <class From = float, class Round>
  Tensor rounded(const Round& round, const Tensor& t) {
    const Tensor out = Tensor::empty(t.shape());
    this->template map<float, From>(round, t, out);
    return out;
  }
  Tensor tf32(const Tensor& t) { return rounded(functor::round_to_tf32{}, t); }
  Tensor widened(const Tensor& t) { return rounded<bf16>(functor::identity<bf16>{}, t); }
  template <class Round>
  std::shared_ptr<const Tensor> rounded_filter(const Round& round, WeightCache::Form::Kind kind,
                                               const Tensor& filter) {
    const auto make = [&] { return std::make_shared<const Tensor>(rounded(round, filter)); };
    return this->weights_.is_pinned(filter) ? this->weights_.get(filter, {kind}, make) : make();
  }
};

}  // namespace damc
