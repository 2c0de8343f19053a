/// Checked calls of the CUDA runtime, cuBLAS and cuDNN: an error names the call, the operands and the
/// library's message.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cudnn.h>

#include <string>

namespace damc {

/// Throw Error unless the status is success. `what` says which call on which operands.
void check_cuda(cudaError_t status, const char* what);
void check_cuda(cudaError_t status, const std::string& what);
void check_cublas(cublasStatus_t status, const std::string& what);
void check_cudnn(cudnnStatus_t status, const std::string& what);

}  // namespace damc
