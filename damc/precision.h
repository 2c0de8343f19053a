/// The arithmetic of a run, and how far its results are from f64's.
///
///   fp32  everything in f32
///   tf32  products of f32 operands rounded to 10 bits after the leading one, on tensor cores
///   bf16  activations of the generator and the encoder stored in bf16 and multiplied with weights rounded to bf16;
///         every other product as in tf32. Weights, biases, sums, statistics of normalisation, gradients of weights,
///         latent vectors and the optimiser stay f32.
/// A GPU's tensor cores do this fast; the CPU emulates it.
#pragma once

#include <string>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/product_options.h"

namespace damc {

struct Config;

enum class Precision { fp32, tf32, bf16 };

/// "fp32", "tf32" or "bf16".
constexpr const char* name(Precision precision) {
  constexpr const char* names[] = {"fp32", "tf32", "bf16"};
  return names[static_cast<int>(precision)];
}

/// From its name in a configuration. Throws Error for another.
Precision parse_precision(const std::string& name);

/// How f32 operands are multiplied.
inline MatmulPrecision products_of(Precision precision) {
  return precision == Precision::fp32 ? MatmulPrecision::f32 : MatmulPrecision::tf32;
}

/// The type of a convolutional network's activations for inputs of type `outside`.
inline Dtype activations_of(Precision precision, Dtype outside) {
  return precision == Precision::bf16 ? Dtype::bf16 : outside;
}

/// Relative errors |a - b| / |b| (L2) of one part of the model, b in f64.
struct PrecisionError {
  std::string part;
  double value;
  double
      gradients;  ///< of a random projection, with respect to input and parameters, all together; chains: 0
};

/// The networks and chains of a configuration with fresh weights, on n random images, in config.precision against
/// the same weights and noise in f64 (on the CPU).
std::vector<PrecisionError> precision_errors(const Config& config, std::int64_t n);

}  // namespace damc
