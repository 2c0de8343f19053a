#include "tensor/cuda/blas.h"

#include "tensor/cuda/check.h"
#include "tensor/cuda/launch.h"
#include "tensor/error.h"

namespace damc {

Blas::Blas(cudaStream_t stream) {
  check_cublas(cublasCreate(&handle_), "cublasCreate");
  check_cublas(cublasSetStream(handle_, stream), "cublasSetStream");
  check_cublas(cublasSetMathMode(handle_, CUBLAS_PEDANTIC_MATH), "cublasSetMathMode");
}

Blas::~Blas() { cublasDestroy(handle_); }

void Blas::gemm(const Tensor& a, const Tensor& b, const Tensor& out) {
  const GemmCall call = gemm_call(a, b, out);
  const bool f32 = out.dtype() == Dtype::f32;
  const float one_f = 1.0f, zero_f = 0.0f;
  const double one_d = 1.0, zero_d = 0.0;
  const cudaDataType_t type = f32 ? CUDA_R_32F : CUDA_R_64F;
  const auto order = [](const GemmCall::Operand& operand) {
    return operand.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  check_cublas(
      cublasGemmStridedBatchedEx_64(
          handle_, order(call.A), order(call.B), call.m, call.n, call.k,
          f32 ? static_cast<const void*>(&one_f) : &one_d, call.A.data, type, call.A.ld, call.A.batch_stride,
          call.B.data, type, call.B.ld, call.B.batch_stride,
          f32 ? static_cast<const void*>(&zero_f) : &zero_d, call.C, type, call.ldc, call.batch_stride_c,
          call.batches, f32 ? CUBLAS_COMPUTE_32F_PEDANTIC : CUBLAS_COMPUTE_64F_PEDANTIC, CUBLAS_GEMM_DEFAULT),
      fmt::format("product of {} and {}", a.shape().str(), b.shape().str()));
}

}  // namespace damc
