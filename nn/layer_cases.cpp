#include "nn/layer_cases.h"

#include "nn/layers.h"

namespace damc {
namespace {

/// A layer of the type and on the device of x, input 0, with inputs 1 and 2 as its weight and bias.
template <class L, class... Arguments>
Variable run(const Variables& v, const Arguments&... arguments) {
  Generator random(1, 0, v[0].device());
  Init init(random, v[0].dtype());
  L layer(arguments..., init);
  layer.weight = v[1];
  layer.bias = v[2];
  return layer.forward(v[0]);
}

/// The same of a layer that is made without a bias, which has then one parameter.
template <class L, class... Arguments>
Variable run_without_bias(const Variables& v, const Arguments&... arguments) {
  Generator random(1, 0, v[0].device());
  Init init(random, v[0].dtype());
  L layer(arguments..., init, false);
  layer.weight = v[1];
  return layer.forward(v[0]);
}

Variable run_sequential(const Variables& v) {
  Generator random(1, 0, v[0].device());
  Init init(random, v[0].dtype());
  auto first = std::make_unique<Linear>(4, 3, init), last = std::make_unique<Linear>(3, 2, init, false);
  first->weight = v[1];
  first->bias = v[2];
  last->weight = v[3];
  Sequential layers;
  layers.push_back(std::move(first));
  layers.push_back(tanh_layer());  // fused into the layer before it
  layers.push_back(silu_layer());  // a pass of its own
  layers.push_back(std::move(last));
  return layers.forward(v[0]);
}

}  // namespace

std::vector<OpCase> layer_cases() {
  const Draw image{{2, 4, 5, 3}}, channels{{3}}, off_zero{{3, 5}, 0.4, 2.0, 1};
  const ConvOptions stride_2{2, 1}, spread{.dilation = 2, .groups = 3},
      doubling{.stride = 2, .padding = 1, .output_padding = 1};
  return {
      {"Linear", "", {{{5, 4}}, {{3, 4}}, {{3}}}, [](const Variables& v) { return run<Linear>(v, 4, 3); }},
      {"Conv2d",
       "4x4 stride 2",
       {image, {{2, 4, 4, 3}}, {{2}}},
       [=](const Variables& v) { return run<Conv2d>(v, 3, 2, Pair(4), stride_2); }},
      {"Conv2d",
       "depthwise, dilation 2",
       {image, {{6, 2, 2, 1}}, {{6}}},
       [=](const Variables& v) { return run<Conv2d>(v, 3, 6, Pair(2), spread); }},
      {"Conv2d",
       "without bias",
       {image, {{2, 3, 3, 3}}},
       [=](const Variables& v) { return run_without_bias<Conv2d>(v, 3, 2, Pair(3), stride_2); }},
      {"ConvTranspose2d",
       "4x4 stride 2",
       {image, {{3, 4, 4, 2}}, {{2}}},
       [=](const Variables& v) { return run<ConvTranspose2d>(v, 3, 2, Pair(4), stride_2); }},
      {"ConvTranspose2d",
       "depthwise, dilation 2",
       {image, {{3, 2, 2, 2}}, {{6}}},
       [=](const Variables& v) { return run<ConvTranspose2d>(v, 3, 6, Pair(2), spread); }},
      {"ConvTranspose2d",
       "output_padding, without bias",
       {image, {{3, 3, 3, 2}}},
       [=](const Variables& v) { return run_without_bias<ConvTranspose2d>(v, 3, 2, Pair(3), doubling); }},
      {"InstanceNorm2d",
       "",
       {image, channels, channels},
       [](const Variables& v) { return run<InstanceNorm2d>(v, 3); }},
      {"BatchNorm", "", {image, channels, channels}, [](const Variables& v) { return run<BatchNorm>(v, 3); }},
      {"LayerNorm", "", {image, channels, channels}, [](const Variables& v) { return run<LayerNorm>(v, 3); }},
      {"MaxPool2d", "2", {image}, [](const Variables& v) { return MaxPool2d(2).forward(v[0]); }},
      {"AvgPool2d", "2", {image}, [](const Variables& v) { return AvgPool2d({.kernel = 2}).forward(v[0]); }},
      {"Upsample", "2", {image}, [](const Variables& v) { return Upsample(2).forward(v[0]); }},
      {"Flatten", "", {image}, [](const Variables& v) { return Flatten().forward(v[0]); }},
      {"Dropout",
       "",
       {off_zero},
       [](const Variables& v) {
         Generator random(4, 0, v[0].device());
         return Dropout(0.4, random).forward(v[0]);
       }},
      {"Activation", "gelu", {off_zero}, [](const Variables& v) { return gelu_layer()->forward(v[0]); }},
      {"Activation",
       "leaky_relu",
       {off_zero},
       [](const Variables& v) { return leaky_relu_layer(0.2)->forward(v[0]); }},
      {"Sequential", "linear, tanh, silu, linear", {{{5, 4}}, {{3, 4}}, {{3}}, {{2, 3}}}, run_sequential},
  };
}

}  // namespace damc
