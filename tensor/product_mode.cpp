#include "tensor/product_mode.h"

#include "tensor/error.h"

namespace damc {

void ProductMode::hold(Products wanted) {
  ENSURE(holds_ == 0 || wanted == now_, "products: {} asked for while {} is in use on the same device",
         name(wanted), name(now_));
  now_ = wanted;
  ++holds_;
}

}  // namespace damc
