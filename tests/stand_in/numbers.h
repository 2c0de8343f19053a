/// Numbers in the devices' memory and as the libraries compute with them.
#pragma once

#include <cuda_bf16.h>
#include <library_types.h>

#include <bit>
#include <cstdint>
#include <cstring>

namespace stand_in {

/// What an operand is rounded to before it is multiplied.
enum class Rounding { none, tf32, bf16 };

inline std::size_t size_of(cudaDataType_t type) {
  return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2;
}

/// Element i of an array of f64, f32 or bf16.
template <class Number>
Number load(const void* array, cudaDataType_t type, std::int64_t i) {
  if (type == CUDA_R_64F) return static_cast<Number>(static_cast<const double*>(array)[i]);
  if (type == CUDA_R_32F) return static_cast<Number>(static_cast<const float*>(array)[i]);
  return static_cast<Number>(__bfloat162float(static_cast<const __nv_bfloat16*>(array)[i]));
}

template <class Number>
void store(void* array, cudaDataType_t type, std::int64_t i, Number x) {
  if (type == CUDA_R_64F) {
    static_cast<double*>(array)[i] = static_cast<double>(x);
  } else if (type == CUDA_R_32F) {
    static_cast<float*>(array)[i] = static_cast<float>(x);
  } else {
    static_cast<__nv_bfloat16*>(array)[i] = __float2bfloat16_rn(static_cast<float>(x));
  }
}

/// To the nearest number with ten bits after the point, away from zero where two are (PTX: cvt.rna.tf32.f32).
inline float to_tf32(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7F800000u) == 0x7F800000u) return x;
  return std::bit_cast<float>((bits + 0x1000u) & ~0x1FFFu);
}

template <class Number>
Number rounded(Number x, Rounding to) {
  if (to == Rounding::none) return x;
  const float f = static_cast<float>(x);
  return static_cast<Number>(to == Rounding::tf32 ? to_tf32(f) : __bfloat162float(__float2bfloat16_rn(f)));
}

}  // namespace stand_in
