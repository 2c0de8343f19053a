/// Checked calls of the CUDA runtime, cuBLAS and cuDNN: an error names the call, the operands and the
/// library's message.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cudnn.h>

#include <cstdint>
#include <initializer_list>
#include <string>

namespace damc {

/// Throw Error unless the status is success. `what` says which call on which operands.
void check_cuda(cudaError_t status, const char* what);
void check_cuda(cudaError_t status, const std::string& what);
/// Throws Error if the launch just made failed. `what` names the kernel, `sizes` what it works on.
void check_launch(const char* what, std::initializer_list<std::int64_t> sizes);
void check_cublas(cublasStatus_t status, const std::string& what);
void check_cudnn(cudnnStatus_t status, const std::string& what);

}  // namespace damc
