#include "tensor/conv_geometry.h"

#include "tensor/error.h"

namespace damc {
namespace {

bool are_valid(const ConvOptions& o) {
  return o.stride.h >= 1 && o.stride.w >= 1 && o.padding.h >= 0 && o.padding.w >= 0;
}

}  // namespace

ConvGeometry conv_geometry(const Shape& x, const Shape& filter, const ConvOptions& options) {
  const auto& [stride, padding] = options;
  ENSURE(x.ndim() == 4 && filter.ndim() == 4 && x[3] == filter[3] && filter.numel() > 0 && are_valid(options),
         "conv2d: image {} (N,H,W,C) and filter {} (Cout,kH,kW,Cin), stride {}, padding {}", x.str(),
         filter.str(), stride.str(), padding.str());
  const std::int64_t room_h = x[1] + 2 * padding.h - filter[1], room_w = x[2] + 2 * padding.w - filter[2];
  ENSURE(room_h >= 0 && room_w >= 0, "conv2d: filter {} is larger than image {} with padding {}",
         filter.str(), x.str(), padding.str());
  return {x[0],      x[1],      x[2],   x[3],   room_h / stride.h + 1, room_w / stride.w + 1, filter[0],
          filter[1], filter[2], stride, padding};
}

ConvGeometry conv_transpose_geometry(const Shape& x, const Shape& filter, const ConvOptions& options) {
  const auto& [stride, padding] = options;
  ENSURE(x.ndim() == 4 && filter.ndim() == 4 && x[3] == filter[0] && filter.numel() > 0 && are_valid(options),
         "conv_transpose2d: image {} (N,H,W,C) and filter {} (Cin,kH,kW,Cout), stride {}, padding {}",
         x.str(), filter.str(), stride.str(), padding.str());
  const std::int64_t h = (x[1] - 1) * stride.h - 2 * padding.h + filter[1];
  const std::int64_t w = (x[2] - 1) * stride.w - 2 * padding.w + filter[2];
  ENSURE(x[1] > 0 && x[2] > 0 && h > 0 && w > 0,
         "conv_transpose2d: image {}, filter {}, padding {} leave no pixel", x.str(), filter.str(),
         padding.str());
  return {x[0], h, w, filter[3], x[1], x[2], filter[0], filter[1], filter[2], stride, padding};
}

}  // namespace damc
