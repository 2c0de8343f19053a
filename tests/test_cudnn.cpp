/// The CUDA libraries' own opinion of what we describe to them: cuDNN checks sizes, strides and types of every pass
/// without a GPU and plans it for GPUs that are described to it, cublasLt checks a product's. And CUDA's bf16 beside
/// ours. Only in builds with CUDA.
#include <bit>

#include <cuda_bf16.h>
#include <doctest/doctest.h>

#include "damc/config.h"
#include "damc/nets/networks.h"
#include "tensor/cuda/blas_lt.h"
#include "tensor/cuda/convolution.h"
#include "tensor/error.h"
#include "tests/described_gpus.h"

using namespace damc;

namespace {

/// f(pass, types) for every pass and arithmetic.
template <class F>
void for_each_pass(const F& f) {
  for (const ConvPass pass : {ConvPass::forward, ConvPass::grad_x, ConvPass::grad_w}) {
    const Dtype of_bf16 = pass == ConvPass::grad_w ? Dtype::f32 : Dtype::bf16;
    for (const ConvTypes& types : {ConvTypes{Dtype::f32, Dtype::f32},
                                   {Dtype::f32, Dtype::f32, MatmulPrecision::tf32},
                                   {Dtype::f64, Dtype::f64},
                                   {Dtype::bf16, of_bf16}})
      f(pass, types);
  }
}

void check_passes(const ConvGeometry& s) {
  for_each_pass([&](ConvPass pass, const ConvTypes& types) {
    for (const ConvForm& form : conv_forms(pass, types))
      CHECK_NOTHROW(check_convolution(pass, s, types, form));
  });
}

/// The convolutions of a preset's networks.
std::vector<ConvGeometry> layers(const std::string& preset) {
  const Config c = preset_config(preset);
  const Architecture& images = architecture(c.architecture);
  std::vector<ConvGeometry> all;
  Shape shape{c.batch, 1, 1, c.nz};
  for (const ConvSpec& layer : images.generator) {
    const std::int64_t out = layer.width == 0 ? images.channels : layer.width * c.ngf;
    all.push_back(conv_transpose_geometry(shape, {shape[3], layer.kernel, layer.kernel, out},
                                          {layer.stride, layer.padding}));
    shape = all.back().in_shape();
  }
  CHECK(shape == Shape{c.batch, images.size, images.size, images.channels});
  for (const ConvSpec& layer : images.encoder) {
    const std::int64_t out = layer.width == 0 ? c.nemb : layer.width * c.nif;
    all.push_back(
        conv_geometry(shape, {out, layer.kernel, layer.kernel, shape[3]}, {layer.stride, layer.padding}));
    shape = all.back().out_shape();
  }
  CHECK(shape == Shape{c.batch, 1, 1, c.nemb});
  return all;
}

/// The first cuDNN that was seen to plan all of this for described devices; 9.8 was the first to know them at all.
constexpr std::size_t kDescribesDevices = 91900;

/// Whether the library has a plan for every pass on a device, with the channels where they lie.
void check_plans(const DeviceSizes& device, const ConvGeometry& s) {
  for_each_pass([&](ConvPass pass, const ConvTypes& types) {
    CAPTURE(s.in_shape().str());
    CAPTURE(s.filter_shape().str());
    ConvForm form{Channels::second, Dtype::i64};
    CHECK_NOTHROW(form = plan_convolution(device.json(), pass, s, types));
    if (types.images != Dtype::f64) CHECK(form.channels == Channels::last);
  });
}

}  // namespace

TEST_CASE("convolutions of all kinds") {
  for (const std::int64_t kernel : {1, 3, 4}) {
    for (const std::int64_t stride : {1, 2, 3}) {
      for (const std::int64_t padding : {0, 1, 2}) {
        for (const std::int64_t channels : {1, 3, 64}) {
          check_passes(conv_geometry({2, 6, 5, channels}, {4, kernel, kernel, channels}, {stride, padding}));
          check_passes(conv_transpose_geometry({2, 6, 5, channels}, {channels, kernel + padding, 4, 7},
                                               {stride, padding}));
        }
      }
    }
  }
}

/// Taps that lie apart, and channels in groups, down to one channel to a group.
std::vector<ConvGeometry> other_than_dense() {
  return {
      conv_geometry({4, 16, 15, 16}, {32, 3, 3, 16}, {.padding = 2, .dilation = 2}),
      conv_geometry({2, 9, 8, 3}, {4, 3, 2, 3}, {.stride = {1, 2}, .padding = 1, .dilation = {2, 3}}),
      conv_geometry({4, 16, 15, 32}, {64, 3, 3, 8}, {.padding = 1, .groups = 4}),
      conv_geometry({2, 5, 6, 6}, {4, 3, 3, 3}, {.stride = 2, .padding = 1, .groups = 2}),
      conv_geometry({4, 16, 15, 32}, {32, 3, 3, 1}, {.stride = 2, .padding = 1, .groups = 32}),
      conv_geometry({2, 6, 5, 3}, {6, 3, 3, 1}, {.padding = 2, .dilation = 2, .groups = 3}),
      conv_geometry({2, 4, 4, 6}, {6, 4, 4, 2}, {.groups = 3}),
      conv_transpose_geometry({2, 3, 4, 6}, {6, 3, 2, 2}, {.stride = 2, .dilation = {2, 1}, .groups = 3}),
      conv_transpose_geometry({2, 3, 4, 5}, {5, 3, 3, 2}, {.stride = 2, .padding = 1, .output_padding = 1})};
}

TEST_CASE("taps that lie apart, channels in groups, and rows beyond the last filter") {
  for (const ConvGeometry& s : other_than_dense()) check_passes(s);
}

TEST_CASE("every layer of every preset") {
  for (const std::string& preset : model_preset_names()) {
    CAPTURE(preset);
    for (const ConvGeometry& s : layers(preset)) check_passes(s);
  }
}

TEST_CASE("there are plans for the networks' layers on an H100 and on an A6000" *
          doctest::skip(cudnnGetVersion() < kDescribesDevices)) {
  for (const DeviceSizes& device : {kH100, kA6000}) {
    CAPTURE(device.name);
    for (const std::string& preset : model_preset_names()) {
      for (const ConvGeometry& s : layers(preset)) {
        if (!s.is_gemm()) check_plans(device, s);
      }
    }
    check_plans(device, conv_geometry({4, 5, 5, 1}, {5, 3, 3, 1}, {1, 1}));  // sizes that suit no tile
    check_plans(device, conv_geometry({3, 6, 7, 2}, {3, 2, 3, 2}, {3, 0}));
    check_plans(device, conv_geometry({4, 17, 17, 32}, {32, 1, 7, 32}, {1, {0, 3}}));  // as in Inception
    check_plans(device, conv_geometry({4, 17, 17, 32}, {32, 7, 1, 32}, {1, {3, 0}}));
    check_plans(device, conv_transpose_geometry({3, 3, 3, 2}, {2, 2, 3, 3}, {3, 1}));
    for (const ConvGeometry& s : other_than_dense()) check_plans(device, s);
  }
}

TEST_CASE("a device of too few details is no device" * doctest::skip(cudnnGetVersion() < kDescribesDevices)) {
  CHECK_THROWS_WITH_AS(
      plan_convolution("{}", ConvPass::forward, conv_geometry({1, 4, 4, 8}, {8, 3, 3, 8}, {1, 1}),
                       {Dtype::f32, Dtype::f32}),
      doctest::Contains("description of a device"), Error);
}

TEST_CASE("the library does refuse what does not fit, and says what it was") {
  ConvGeometry s = conv_geometry({2, 6, 5, 3}, {4, 3, 3, 3}, {1, 1});
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
  CHECK_NOTHROW(LtDescriptors(product, Dtype::f32, MatmulPrecision::f32));
  CHECK_NOTHROW(LtDescriptors(product, Dtype::f32, MatmulPrecision::tf32));
  CHECK_NOTHROW(LtDescriptors(product, Dtype::f64, MatmulPrecision::tf32));
  CHECK(compute_type(Dtype::f32, MatmulPrecision::f32) == CUBLAS_COMPUTE_32F);
  CHECK(compute_type(Dtype::f32, MatmulPrecision::tf32) == CUBLAS_COMPUTE_32F_FAST_TF32);
  CHECK(compute_type(Dtype::f64, MatmulPrecision::tf32) == CUBLAS_COMPUTE_64F);
  CHECK(compute_type(Dtype::bf16, MatmulPrecision::tf32) == CUBLAS_COMPUTE_32F);
}

TEST_CASE("CUDA converts to bf16 as we do") {
  for (std::uint64_t bits = 0; bits < (1ull << 32); bits += 4093) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    const __nv_bfloat16_raw theirs = __float2bfloat16_rn(x);
    REQUIRE(bf16(x).bits == theirs.x);
  }
}
