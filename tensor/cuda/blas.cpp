#include "tensor/cuda/blas.h"

#include "tensor/cuda/check.h"
#include "tensor/cuda/launch.h"
#include "tensor/error.h"

namespace damc {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;  // what cuBLAS's guide gives for Hopper

cudaDataType_t data_type(Dtype dtype) {
  return dtype == Dtype::f32 ? CUDA_R_32F : dtype == Dtype::bf16 ? CUDA_R_16BF : CUDA_R_64F;
}

}  // namespace

Blas::Blas(CudaMemory& memory)
    : memory_(memory),
      workspace_(memory, kWorkspaceBytes),
      lt_(memory.stream(), workspace_.data(), workspace_.bytes()) {
  check_cublas(cublasCreate(&handle_), "cublasCreate");
  check_cublas(cublasSetStream(handle_, memory.stream()), "cublasSetStream");
  // After the stream, which would put the library's own workspace back.
  check_cublas(cublasSetWorkspace(handle_, workspace_.data(), workspace_.bytes()), "cublasSetWorkspace");
  // Or partial sums of bf16 products would be bf16.
  constexpr int math = CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
  check_cublas(cublasSetMathMode(handle_, static_cast<cublasMath_t>(math)), "cublasSetMathMode");
}

Blas::~Blas() { cublasDestroy(handle_); }

bool Blas::gemm(const Tensor& a, const Tensor& b, const Tensor& bias, const ProductOptions& options,
                const Tensor& out) {
  memory_.use_device();
  const GemmCall call = gemm_call(a, b, out);
  if (lt_finishes(bias, options.activation, out) && lt_.multiply(call, bias, options.precision)) return true;
  const bool f64 = out.dtype() == Dtype::f64;
  const float one_f = 1.0f, zero_f = 0.0f;
  const double one_d = 1.0, zero_d = 0.0;
  const cudaDataType_t from = data_type(a.dtype()), to = data_type(out.dtype());
  const auto order = [](const GemmCall::Operand& operand) {
    return operand.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  const cublasStatus_t status = cublasGemmStridedBatchedEx_64(
      handle_, order(call.A), order(call.B), call.m, call.n, call.k,
      f64 ? static_cast<const void*>(&one_d) : &one_f, call.A.data, from, call.A.ld, call.A.batch_stride,
      call.B.data, from, call.B.ld, call.B.batch_stride, f64 ? static_cast<const void*>(&zero_d) : &zero_f,
      call.C, to, call.ldc, call.batch_stride_c, call.batches, compute_type(a.dtype(), options.precision),
      CUBLAS_GEMM_DEFAULT);
  if (status != CUBLAS_STATUS_SUCCESS) {
    check_cublas(status,
                 fmt::format("{} product of {} and {}", name(a.dtype()), a.shape().str(), b.shape().str()));
  }
  return false;
}

}  // namespace damc
