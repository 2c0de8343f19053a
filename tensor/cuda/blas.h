/// Matrix products: through cublasLt where it can add the bias in the same pass, through cuBLAS otherwise.
#pragma once

#include <cublas_v2.h>

#include "tensor/cuda/blas_lt.h"
#include "tensor/cuda/memory.h"

namespace damc {

class Blas {
 public:
  /// Everything is queued on memory's stream.
  explicit Blas(CudaMemory& memory);
  ~Blas();
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;

  /// out = a b, the operands as Backend::gemm takes them; bf16 ones, without bias and activation, give bf16 or f32.
  /// Whether bias and activation are in it already: out = a b + bias.
  bool gemm(const Tensor& a, const Tensor& b, const Tensor& bias, const ProductOptions& options,
            const Tensor& out);

 private:
  CudaMemory& memory_;
  CudaBlock workspace_;
  cublasHandle_t handle_ = nullptr;
  BlasLt lt_;
};

}  // namespace damc
