#include <algorithm>

#include "autograd/checks/case_lists.h"
#include "autograd/ops.h"

namespace damc {
namespace {

/// Sizes of one convolution: image h x w x in, kernel kh x kw, `out` channels.
struct ConvSizes {
  std::string words;
  std::int64_t h, w, in, kh, kw, out;
  ConvOptions options;
};

/// Rows of conv2d or conv_transpose2d for each geometry, with and without bias, with each activation.
template <class Conv>
std::vector<OpCase> convolution_cases(const std::string& op, const std::vector<ConvSizes>& geometries,
                                      bool transposed, Conv conv) {
  std::vector<OpCase> rows;
  for (const ConvSizes& s : geometries) {
    // Weights are sized so that a sum is of order 1: tanh neither saturates nor stays linear.
    const std::int64_t groups = s.options.groups;
    const std::int64_t overlap = transposed ? s.options.stride.h * s.options.stride.w : 1;
    const double terms =
        std::max(1.0, static_cast<double>(s.kh * s.kw * s.in) / static_cast<double>(overlap * groups));
    const Shape filter =
        transposed ? Shape{s.in, s.kh, s.kw, s.out / groups} : Shape{s.out, s.kh, s.kw, s.in / groups};
    const Draw x{{3, s.h, s.w, s.in}, 0.5, 1.5}, w{filter, 0.3 / terms, 0.9 / terms, transposed ? 3 : 0};
    const Draw bias{{s.out}, 0.1, 0.5, 0};
    for (const FusedActivation& activation : fused_activations()) {
      const auto run = [conv, act = activation.f, options = s.options](const Variables& v) {
        return conv(v[0], v[1], v.size() > 2 ? v[2] : Variable(), options, ProductOptions{act});
      };
      rows.push_back({op, s.words + ", no bias" + activation.words, {x, w}, run});
      rows.push_back({op, s.words + ", bias" + activation.words, {x, w, bias}, run});
    }
  }
  return rows;
}

}  // namespace

std::vector<OpCase> product_cases() {
  const auto product = [](const Variables& x) { return matmul(x[0], x[1]); };
  const auto features = [](const Variables& x) { return fourier_features(x[0], x[1]); };
  std::vector<OpCase> rows{
      {"matmul", "", {{{5, 4}}, {{4, 3}}}, product},
      {"matmul", "row times column", {{{1, 4}}, {{4, 1}}}, product},
      {"matmul", "column times row", {{{4, 1}}, {{1, 3}}}, product},
      {"matmul", "batched", {{{2, 5, 4}}, {{2, 4, 3}}}, product},
      {"matmul", "one matrix for all", {{{2, 3, 5, 4}}, {{4, 3}}}, product},
      {"matmul", "broadcast left", {{{5, 4}}, {{2, 4, 3}}}, product},
      {"matmul", "broadcast crosswise", {{{2, 1, 5, 4}}, {{3, 4, 3}}}, product},
      {"fourier_features", "", {{{3, 4}}, {{4, 2}, -0.3, 0.3}}, features},
  };
  rows.push_back({"linear", "three dimensions", {{{2, 5, 4}}, {{3, 4}}}, [](const Variables& v) {
                    return linear(v[0], v[1], {});
                  }});
  const Draw x{{5, 4}, 0.5, 1.5}, w{{3, 4}, 0.1, 0.3, 0}, bias{{3}, 0.1, 0.5, 0};
  for (const FusedActivation& activation : fused_activations()) {
    const auto run = [act = activation.f](const Variables& v) {
      return linear(v[0], v[1], v.size() > 2 ? v[2] : Variable(), {act});
    };
    rows.push_back({"linear", "no bias" + activation.words, {x, w}, run});
    rows.push_back({"linear", "bias" + activation.words, {x, w, bias}, run});
  }
  return rows;
}

std::vector<OpCase> conv2d_cases() {
  return convolution_cases("conv2d",
                           {{"3x3", 5, 6, 2, 3, 3, 4, {1, 1}},
                            {"4x4 stride 2", 6, 8, 3, 4, 4, 2, {2, 1}},
                            {"whole image", 4, 4, 3, 4, 4, 5, {1, 0}},
                            {"1x1", 3, 4, 3, 1, 1, 4, {1, 0}},
                            {"1x1 stride 2", 5, 4, 2, 1, 1, 3, {2, 0}},
                            {"1x1 in a margin", 3, 2, 2, 1, 1, 3, {1, 1}},
                            {"2x3 with unused rim", 6, 7, 2, 2, 3, 3, {3, 0}},
                            {"1x7", 3, 8, 2, 1, 7, 3, {1, {0, 3}}},
                            {"7x1 stride 2x1", 8, 3, 2, 7, 1, 3, {{2, 1}, {3, 0}}},
                            {"3x2 dilation 2x3", 7, 8, 2, 3, 2, 3, {{1, 2}, 1, {2, 3}}},
                            {"2 groups", 4, 5, 6, 3, 3, 4, {1, 1, 1, 2}},
                            {"depthwise, dilation 2", 6, 5, 3, 3, 3, 3, {1, 2, 2, 3}}},
                           false, [](const auto&... arguments) { return conv2d(arguments...); });
}

std::vector<OpCase> conv_transpose2d_cases() {
  return convolution_cases("conv_transpose2d",
                           {{"3x3", 4, 5, 2, 3, 3, 3, {1, 1}},
                            {"4x4 stride 2", 3, 4, 4, 4, 4, 2, {2, 1}},
                            {"from one pixel", 1, 1, 5, 4, 4, 3, {1, 0}},
                            {"1x1 stride 2, with gaps", 3, 2, 3, 1, 1, 2, {2, 0}},
                            {"2x3 stride 3, cut by a margin", 3, 3, 2, 2, 3, 3, {3, 1}},
                            {"1x7 stride 1x2", 3, 3, 2, 1, 7, 3, {{1, 2}, {0, 3}}},
                            {"7x1", 8, 3, 2, 7, 1, 3, {1, {3, 0}}},
                            {"3x2 dilation 2x3", 3, 4, 2, 3, 2, 3, {{1, 2}, 1, {2, 3}}},
                            {"2 groups", 3, 4, 6, 3, 3, 4, {2, 1, 1, 2}},
                            {"depthwise, dilation 2", 4, 3, 3, 3, 3, 6, {1, 2, 2, 3}},
                            {"2x3 stride 3, output_padding 1x2", 3, 2, 2, 2, 3, 3, {3, 1, 1, 1, {1, 2}}}},
                           true, [](const auto&... arguments) { return conv_transpose2d(arguments...); });
}

}  // namespace damc
