/// cuDNN's convolutions through its graph API: one plan per shape, chosen by timing the library's candidates
/// once and kept. Layouts are those of launch.h.
#pragma once

#include <cudnn.h>

#include <map>
#include <memory>
#include <tuple>

#include "tensor/conv_geometry.h"
#include "tensor/cuda/check.h"
#include "tensor/dtype.h"

namespace damc {

/// Bytes that the address of every operand is a multiple of.
inline constexpr std::int64_t kConvAlignment = 16;

enum class ConvPass { forward, grad_x, grad_w };

/// What the library may do: `tensor_cores` allows TF32 products of f32 operands; `deterministic` asks for the
/// same bits at every run.
struct ConvPolicy {
  bool tensor_cores = false;
  bool deterministic = true;
};

/// Device pointers of one call: input-sized, filter-sized and output-sized operand, their channels where
/// conv_channels(dtype) says. One of them is written.
struct ConvOperands {
  const void* x;
  const void* filter;
  const void* y;
};

/// Has the library check the descriptors of a pass, which needs no GPU. Throws Error where it refuses them.
void check_convolution(ConvPass pass, const ConvGeometry& s, Dtype dtype);

class ConvolutionPlans {
 public:
  ConvolutionPlans(cudaStream_t stream, ConvPolicy policy);
  ~ConvolutionPlans();
  ConvolutionPlans(const ConvolutionPlans&) = delete;
  ConvolutionPlans& operator=(const ConvolutionPlans&) = delete;

  /// Runs one pass. Throws Error with the shapes and the library's message when no plan supports it.
  void run(ConvPass pass, const ConvGeometry& s, Dtype dtype, const ConvOperands& operands);

 private:
  struct Plan;
  using Key = std::tuple<ConvPass, Dtype, std::array<std::int64_t, 9>>;

  std::unique_ptr<Plan> choose(ConvPass pass, const ConvGeometry& s, Dtype dtype,
                               const ConvOperands& operands);

  cudnnHandle_t handle_ = nullptr;
  cudaStream_t stream_;
  ConvPolicy policy_;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace damc
