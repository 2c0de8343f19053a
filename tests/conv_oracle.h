/// The convolution by its definition: seven nested loops in double. Slow, plain, and the judge of the fast
/// ones.
#pragma once

#include <cmath>
#include <vector>

#include "tensor/conv_geometry.h"

namespace damc {

/// Calls f(i, k, o) for every multiply-add of the convolution: elements x[i], filter[k] and out[o] of
/// contiguous N,H,W,C images and a Cout,kH,kW,Cin/groups filter. Out of the image there is nothing to multiply.
template <class F>
void for_each_product(const ConvGeometry& s, F&& f) {
  const std::int64_t in = s.in_c / s.groups, out = s.out_c / s.groups;  // channels of a group
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t oh = 0; oh < s.out_h; ++oh)
      for (std::int64_t ow = 0; ow < s.out_w; ++ow)
        for (std::int64_t co = 0; co < s.out_c; ++co)
          for (std::int64_t kh = 0; kh < s.kernel_h; ++kh)
            for (std::int64_t kw = 0; kw < s.kernel_w; ++kw)
              for (std::int64_t ci = 0; ci < in; ++ci) {
                const std::int64_t ih = oh * s.stride.h - s.padding.h + kh * s.dilation.h;
                const std::int64_t iw = ow * s.stride.w - s.padding.w + kw * s.dilation.w;
                if (ih < 0 || ih >= s.in_h || iw < 0 || iw >= s.in_w) continue;
                f(static_cast<std::size_t>(((n * s.in_h + ih) * s.in_w + iw) * s.in_c + co / out * in + ci),
                  static_cast<std::size_t>(((co * s.kernel_h + kh) * s.kernel_w + kw) * in + ci),
                  static_cast<std::size_t>(((n * s.out_h + oh) * s.out_w + ow) * s.out_c + co));
              }
}

/// The result of one pass, and the norm it would have if its products did not cancel: the scale of rounding
/// errors.
struct OraclePass {
  std::vector<double> values;
  double scale = 0.0;
};

/// The three passes for one image x, filter w and gradient g of the output.
struct ConvOracle {
  OraclePass out, grad_x, grad_w;

  ConvOracle(const ConvGeometry& s, const std::vector<double>& x, const std::vector<double>& w,
             const std::vector<double>& g)
      : out{std::vector<double>(g.size())},
        grad_x{std::vector<double>(x.size())},
        grad_w{std::vector<double>(w.size())} {
    const auto add = [](OraclePass& pass, std::size_t i, double product) {
      pass.values[i] += product;
      pass.scale += product * product;
    };
    for_each_product(s, [&](std::size_t i, std::size_t k, std::size_t o) {
      add(out, o, x[i] * w[k]);
      add(grad_x, i, g[o] * w[k]);
      add(grad_w, k, g[o] * x[i]);
    });
    for (OraclePass* pass : {&out, &grad_x, &grad_w}) pass->scale = std::sqrt(pass->scale);
  }
};

}  // namespace damc
