/// The CUDA libraries' own opinion of what we describe to them: cuDNN checks sizes, strides and types of every
/// pass without a GPU, cublasLt a product's. And CUDA's bf16 beside ours. Only in builds with CUDA.
#include <cuda_bf16.h>
#include <doctest/doctest.h>

#include "damc/config.h"
#include "damc/networks.h"
#include "tensor/cuda/blas_lt.h"
#include "tensor/cuda/convolution.h"
#include "tensor/error.h"

using namespace damc;

namespace {

void check_passes(const ConvGeometry& s) {
  for (const ConvPass pass : {ConvPass::forward, ConvPass::grad_x, ConvPass::grad_w}) {
    const Dtype of_bf16 = pass == ConvPass::grad_w ? Dtype::f32 : Dtype::bf16;
    for (const ConvTypes& types : {ConvTypes{Dtype::f32, Dtype::f32},
                                   {Dtype::f32, Dtype::f32, Products::tf32},
                                   {Dtype::f64, Dtype::f64},
                                   {Dtype::bf16, of_bf16}}) {
      for (const ConvForm& form : conv_forms(pass, types))
        CHECK_NOTHROW(check_convolution(pass, s, types, form));
    }
  }
}

}  // namespace

TEST_CASE("convolutions of all kinds") {
  for (const std::int64_t kernel : {1, 3, 4}) {
    for (const std::int64_t stride : {1, 2, 3}) {
      for (const std::int64_t padding : {0, 1, 2}) {
        for (const std::int64_t channels : {1, 3, 64}) {
          check_passes(conv_geometry({2, 6, 5, channels}, {4, kernel, kernel, channels}, stride, padding));
          check_passes(conv_transpose_geometry({2, 6, 5, channels}, {channels, kernel + padding, 4, 7},
                                               stride, padding));
        }
      }
    }
  }
}

TEST_CASE("every layer of every preset") {
  for (const std::string& preset : preset_names()) {
    CAPTURE(preset);
    const Config c = preset_config(preset);
    const Architecture& images = architecture(c.architecture);
    Shape shape{c.batch, 1, 1, c.nz};
    for (const ConvSpec& layer : images.generator) {
      const std::int64_t out = layer.width == 0 ? images.channels : layer.width * c.ngf;
      const ConvGeometry s = conv_transpose_geometry(shape, {shape[3], layer.kernel, layer.kernel, out},
                                                     layer.stride, layer.padding);
      check_passes(s);
      shape = s.in_shape();
    }
    CHECK(shape == Shape{c.batch, images.size, images.size, images.channels});
    for (const ConvSpec& layer : images.encoder) {
      const std::int64_t out = layer.width == 0 ? c.nemb : layer.width * c.nif;
      const ConvGeometry s =
          conv_geometry(shape, {out, layer.kernel, layer.kernel, shape[3]}, layer.stride, layer.padding);
      check_passes(s);
      shape = s.out_shape();
    }
    CHECK(shape == Shape{c.batch, 1, 1, c.nemb});
  }
}

TEST_CASE("the library does refuse what does not fit, and says what it was") {
  ConvGeometry s = conv_geometry({2, 6, 5, 3}, {4, 3, 3, 3}, 1, 1);
  ++s.out_h;
  for (const ConvPass pass : {ConvPass::forward, ConvPass::grad_x, ConvPass::grad_w}) {
    CHECK_THROWS_WITH_AS(check_convolution(pass, s, {Dtype::f32, Dtype::f32}, {Channels::last, Dtype::f32}),
                         doctest::Contains("image [2, 6, 5, 3], filter [4, 3, 3, 3], output [2, 7, 5, 4]"),
                         Error);
  }
}

TEST_CASE("cublasLt takes products in true f32, tf32 and f64") {
  const Tensor x = Tensor::zeros({5, 7}), w = Tensor::zeros({3, 7}), out = Tensor::zeros({5, 3});
  const LtProduct product = lt_product(gemm_call(x, w.transpose(0, 1), out), out.raw());
  CHECK_NOTHROW(LtDescriptors(product, Dtype::f32, Products::f32));
  CHECK_NOTHROW(LtDescriptors(product, Dtype::f32, Products::tf32));
  CHECK_NOTHROW(LtDescriptors(product, Dtype::f64, Products::tf32));
  CHECK(compute_type(Dtype::f32, Products::f32) == CUBLAS_COMPUTE_32F_PEDANTIC);
  CHECK(compute_type(Dtype::f32, Products::tf32) == CUBLAS_COMPUTE_32F_FAST_TF32);
  CHECK(compute_type(Dtype::f64, Products::tf32) == CUBLAS_COMPUTE_64F_PEDANTIC);
  CHECK(compute_type(Dtype::bf16, Products::tf32) == CUBLAS_COMPUTE_32F);
}

TEST_CASE("CUDA converts to bf16 as we do") {
  for (std::uint64_t bits = 0; bits < (1ull << 32); bits += 4093) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    const __nv_bfloat16_raw theirs = __float2bfloat16_rn(x);
    REQUIRE(bf16(x).bits == theirs.x);
  }
}
