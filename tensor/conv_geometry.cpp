#include "tensor/conv_geometry.h"

#include <algorithm>

#include "tensor/error.h"

namespace damc {
namespace {

/// "padding 0", and the dilation where there is one.
std::string spacing(const ConvOptions& o) {
  return "padding " + o.padding.str() + (o.dilation == Pair(1) ? "" : ", dilation " + o.dilation.str());
}

void check_options(const char* op, const ConvOptions& o) {
  const auto least = [](Pair p) { return std::min(p.h, p.w); };
  ENSURE(least(o.stride) >= 1 && least(o.padding) >= 0 && least(o.dilation) >= 1 && o.groups >= 1,
         "{}: stride {}, padding {}, dilation {}, groups {}, expected at least 1, 0, 1, 1", op,
         o.stride.str(), o.padding.str(), o.dilation.str(), o.groups);
}

/// Pixels from a filter's first tap to its last.
Pair extent(const Shape& filter, Pair dilation) {
  return {dilation.h * (filter[1] - 1) + 1, dilation.w * (filter[2] - 1) + 1};
}

}  // namespace

std::string ConvOptions::str() const {
  return "stride " + stride.str() + ", " + spacing(*this) +
         (groups == 1 ? "" : ", groups " + std::to_string(groups)) +
         (output_padding == Pair(0) ? "" : ", output_padding " + output_padding.str());
}

void check_groups(const char* op, std::int64_t in, std::int64_t out, std::int64_t groups) {
  ENSURE(groups >= 1 && in % groups == 0 && out % groups == 0,
         "{}: {} channels in and {} out do not divide into {} groups", op, in, out, groups);
}

ConvGeometry conv_geometry(const Shape& x, const Shape& filter, const ConvOptions& options) {
  const auto& [stride, padding, dilation, groups, output_padding] = options;
  check_options("conv2d", options);
  ENSURE(output_padding == Pair(0), "conv2d: output_padding {}; only conv_transpose2d has one",
         output_padding.str());
  ENSURE(x.ndim() == 4 && filter.ndim() == 4 && x[3] == filter[3] * groups && filter.numel() > 0,
         "conv2d: image {} (N,H,W,C) and filter {} (Cout,kH,kW,Cin/groups), {}", x.str(), filter.str(),
         options.str());
  check_groups("conv2d", x[3], filter[0], groups);
  const Pair size = extent(filter, dilation);
  const std::int64_t room_h = x[1] + 2 * padding.h - size.h, room_w = x[2] + 2 * padding.w - size.w;
  ENSURE(room_h >= 0 && room_w >= 0, "conv2d: filter {} is larger than image {} with {}", filter.str(),
         x.str(), spacing(options));
  return {options,   x[0],      x[1],     x[2], x[3], room_h / stride.h + 1, room_w / stride.w + 1,
          filter[0], filter[1], filter[2]};
}

ConvGeometry conv_transpose_geometry(const Shape& x, const Shape& filter, const ConvOptions& options) {
  const auto& [stride, padding, dilation, groups, more] = options;
  check_options("conv_transpose2d", options);
  ENSURE(more.h >= 0 && more.w >= 0 && more.h < stride.h && more.w < stride.w,
         "conv_transpose2d: output_padding {}, expected at least 0 and less than the stride, {}", more.str(),
         stride.str());
  ENSURE(x.ndim() == 4 && filter.ndim() == 4 && x[3] == filter[0] && filter.numel() > 0,
         "conv_transpose2d: image {} (N,H,W,C) and filter {} (Cin,kH,kW,Cout/groups), {}", x.str(),
         filter.str(), options.str());
  const std::int64_t out_c = filter[3] * groups;
  check_groups("conv_transpose2d", x[3], out_c, groups);
  const Pair size = extent(filter, dilation);
  const std::int64_t h = (x[1] - 1) * stride.h - 2 * padding.h + size.h + more.h;
  const std::int64_t w = (x[2] - 1) * stride.w - 2 * padding.w + size.w + more.w;
  ENSURE(x[1] > 0 && x[2] > 0 && h > 0 && w > 0, "conv_transpose2d: image {}, filter {}, {} leave no pixel",
         x.str(), filter.str(), spacing(options));
  ConvOptions of_convolution = options;
  of_convolution.output_padding = 0;
  return {of_convolution, x[0], h, w, out_c, x[1], x[2], filter[0], filter[1], filter[2]};
}

}  // namespace damc
