/// The arithmetic of a run.
///
///   fp32  everything in f32
///   tf32  products of f32 operands rounded to 10 bits after the leading one, on tensor cores; a CPU emulates them
///   bf16  activations of the generator and the encoder stored in bf16 and multiplied with weights rounded to bf16;
///         every other product as in tf32 on a GPU, in f32 on a CPU. Weights, biases, sums, statistics of normalisation,
///         gradients of weights, latent vectors and the optimiser stay f32.
/// In bf16 a GPU's tensor cores are fast, and a CPU with AVX512-BF16 or AMX.
#pragma once

#include <string>

#include "tensor/device.h"
#include "tensor/dtype.h"
#include "tensor/product_options.h"

namespace damc {

enum class Precision { fp32, tf32, bf16 };

/// "fp32", "tf32" or "bf16".
constexpr const char* name(Precision precision) {
  constexpr const char* names[] = {"fp32", "tf32", "bf16"};
  return names[static_cast<int>(precision)];
}

/// From its name in a configuration. Throws Error for another.
Precision parse_precision(const std::string& name);

/// How f32 operands are multiplied on a device. A CPU has no unit for tf32, so it does so for its numerics only, where
/// they are asked for.
inline MatmulPrecision products_of(Precision precision, Device device) {
  const bool rounds =
      precision == Precision::tf32 || (precision == Precision::bf16 && device.type != DeviceType::cpu);
  return rounds ? MatmulPrecision::tf32 : MatmulPrecision::f32;
}

/// The type of a convolutional network's activations for inputs of type `outside`.
inline Dtype activations_of(Precision precision, Dtype outside) {
  return precision == Precision::bf16 ? Dtype::bf16 : outside;
}

}  // namespace damc
