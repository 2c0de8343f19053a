/// cuDNN's own opinion of the convolutions that we describe to it: it checks sizes, strides and types of every
/// pass without a GPU. Only in builds with CUDA.
#include <doctest/doctest.h>

#include "damc/config.h"
#include "damc/networks.h"
#include "tensor/cuda/convolution.h"
#include "tensor/error.h"

using namespace damc;

namespace {

void check_passes(const ConvGeometry& s) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const Channels channels : conv_layouts(dtype)) {
      for (const ConvPass pass : {ConvPass::forward, ConvPass::grad_x, ConvPass::grad_w})
        CHECK_NOTHROW(check_convolution(pass, s, dtype, channels));
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
    CHECK_THROWS_WITH_AS(check_convolution(pass, s, Dtype::f32, Channels::last),
                         doctest::Contains("image [2, 6, 5, 3], filter [4, 3, 3, 3], output [2, 7, 5, 4]"),
                         Error);
  }
}
