/// Matrix products with a bias in one pass, through cublasLt.
#pragma once

#include <cublasLt.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include "tensor/cuda/launch.h"

namespace damc {

/// How the library is to multiply operands: exactly in their type, unless tf32 is asked for; bf16 sums are f32. Not the
/// pedantic variants, which the library does not promise to be as fast.
inline cublasComputeType_t compute_type(Dtype dtype, MatmulPrecision precision) {
  if (dtype == Dtype::f64) return CUBLAS_COMPUTE_64F;
  const bool tf32 = dtype == Dtype::f32 && precision == MatmulPrecision::tf32;
  return tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

/// A product's descriptors as the library holds them. It makes and checks them without a GPU, too.
class LtDescriptors {
 public:
  /// Throws Error with the library's message where it refuses one.
  LtDescriptors(const LtProduct& product, Dtype dtype, MatmulPrecision precision);

  void set_bias(const void* bias);

  cublasLtMatmulDesc_t operation() const { return operation_.get(); }
  cublasLtMatrixLayout_t A() const { return A_.get(); }
  cublasLtMatrixLayout_t B() const { return B_.get(); }
  cublasLtMatrixLayout_t D() const { return D_.get(); }

 private:
  struct Destroy {
    void operator()(cublasLtMatmulDesc_t operation) const { cublasLtMatmulDescDestroy(operation); }
    void operator()(cublasLtMatrixLayout_t layout) const { cublasLtMatrixLayoutDestroy(layout); }
  };
  using Layout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, Destroy>;

  std::unique_ptr<cublasLtMatmulDescOpaque_t, Destroy> operation_;
  Layout A_, B_, D_;
};

class BlasLt {
 public:
  /// `workspace`: device memory for the products that follow each other on `stream`.
  BlasLt(cudaStream_t stream, void* workspace, std::size_t workspace_bytes);
  ~BlasLt();
  BlasLt(const BlasLt&) = delete;
  BlasLt& operator=(const BlasLt&) = delete;

  /// Queues out = a b + bias, f32 operands multiplied as said, by the algorithm that the library's heuristic named when
  /// this shape first came. False, with nothing queued, where the library has none.
  bool multiply(const GemmCall& call, const Tensor& bias, MatmulPrecision precision);

 private:
  struct Plan {
    LtDescriptors descriptors;
    std::optional<cublasLtMatmulAlgo_t> algorithm;  ///< none: the library cannot
    std::string what;                               ///< for errors
  };

  Plan make_plan(const LtProduct& product, const Tensor& bias, MatmulPrecision precision) const;

  cublasLtHandle_t handle_ = nullptr;
  cudaStream_t stream_;
  void* workspace_;
  std::size_t workspace_bytes_;
  std::map<std::tuple<Dtype, MatmulPrecision, LtProduct>, Plan> plans_;
};

}  // namespace damc
