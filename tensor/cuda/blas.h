/// Matrix products through cuBLAS.
#pragma once

#include <cublas_v2.h>

#include "tensor/tensor.h"

namespace damc {

class Blas {
 public:
  explicit Blas(cudaStream_t stream);
  ~Blas();
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;

  /// out = a b, the operands as Backend::gemm takes them; f32 products are true f32.
  void gemm(const Tensor& a, const Tensor& b, const Tensor& out);

 private:
  cublasHandle_t handle_ = nullptr;
};

}  // namespace damc
