/// How a matrix product or convolution is computed: what every product takes beside its operands.
#pragma once

#include <cstdint>

#include "tensor/kernels/functors.h"

namespace damc {

/// How f32 operands are multiplied: as they are, or rounded to 10 bits after the leading one, as tensor cores take
/// them. Sums are f32 either way; products of f64 and bf16 operands know no difference.
enum class MatmulPrecision : std::uint8_t { f32, tf32 };

/// "f32" or "tf32".
constexpr const char* name(MatmulPrecision precision) {
  return precision == MatmulPrecision::f32 ? "f32" : "tf32";
}

struct ProductOptions {
  Unary activation = {};  ///< applied to the result in the same pass; one that fuses()
  MatmulPrecision precision = MatmulPrecision::f32;
};

}  // namespace damc
