#include "tensor/cuda/blas.h"

#include "tensor/cuda/check.h"
#include "tensor/cuda/launch.h"
#include "tensor/error.h"

namespace damc {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;  // what cuBLAS's guide gives for Hopper

}  // namespace

Blas::Blas(CudaMemory& memory)
    : memory_(memory),
      workspace_(memory, kWorkspaceBytes),
      lt_(memory.stream(), workspace_.data(), workspace_.bytes()) {
  check_cublas(cublasCreate(&handle_), "cublasCreate");
  check_cublas(cublasSetStream(handle_, memory.stream()), "cublasSetStream");
  // After the stream, which would put the library's own workspace back.
  check_cublas(cublasSetWorkspace(handle_, workspace_.data(), workspace_.bytes()), "cublasSetWorkspace");
}

Blas::~Blas() { cublasDestroy(handle_); }

bool Blas::gemm(const Tensor& a, const Tensor& b, const Epilogue& epilogue, Products products,
                const Tensor& out) {
  memory_.use_device();
  const GemmCall call = gemm_call(a, b, out);
  if (lt_finishes(epilogue, out) && lt_.multiply(call, *epilogue.bias, products)) return true;
  const bool f32 = out.dtype() == Dtype::f32;
  const float one_f = 1.0f, zero_f = 0.0f;
  const double one_d = 1.0, zero_d = 0.0;
  const cudaDataType_t type = f32 ? CUDA_R_32F : CUDA_R_64F;
  const auto order = [](const GemmCall::Operand& operand) {
    return operand.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  const cublasStatus_t status = cublasGemmStridedBatchedEx_64(
      handle_, order(call.A), order(call.B), call.m, call.n, call.k,
      f32 ? static_cast<const void*>(&one_f) : &one_d, call.A.data, type, call.A.ld, call.A.batch_stride,
      call.B.data, type, call.B.ld, call.B.batch_stride, f32 ? static_cast<const void*>(&zero_f) : &zero_d,
      call.C, type, call.ldc, call.batch_stride_c, call.batches, compute_type(out.dtype(), products),
      CUBLAS_GEMM_DEFAULT);
  if (status != CUBLAS_STATUS_SUCCESS) {
    check_cublas(status,
                 fmt::format("{} product of {} and {}", name(out.dtype()), a.shape().str(), b.shape().str()));
  }
  return false;
}

}  // namespace damc
