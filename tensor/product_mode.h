/// How a device multiplies f32 operands now; what backends keep between hold_products and release_products.
#pragma once

#include "tensor/backend.h"

namespace damc {

class ProductMode {
 public:
  /// Throws Error while others hold another mode: one of the two would not get what it asked for.
  void hold(Products wanted);
  void release() {
    if (--holds_ == 0) now_ = Products::f32;
  }
  Products now() const { return now_; }

 private:
  Products now_ = Products::f32;
  int holds_ = 0;
};

}  // namespace damc
