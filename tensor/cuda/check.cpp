#include "tensor/cuda/check.h"

#include <fmt/ranges.h>

#include "tensor/error.h"

namespace damc {

void check_cuda(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw Error(fmt::format("CUDA: {}: {}", what, cudaGetErrorString(status)));
}

void check_cuda(cudaError_t status, const std::string& what) { check_cuda(status, what.c_str()); }

void check_launch(const char* what, std::initializer_list<std::int64_t> sizes) {
  const cudaError_t status = cudaGetLastError();
  if (status != cudaSuccess)
    check_cuda(status, fmt::format("launch of {} [{}]", what, fmt::join(sizes.begin(), sizes.end(), ", ")));
}

void check_cublas(cublasStatus_t status, const std::string& what) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw Error(fmt::format("cuBLAS: {}: {}", what, cublasGetStatusString(status)));
  }
}

void check_cudnn(cudnnStatus_t status, const std::string& what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char detail[512] = "";
  cudnnGetLastErrorString(detail, sizeof detail);
  throw Error(
      fmt::format("cuDNN: {}: {}{}{}", what, cudnnGetErrorString(status), *detail ? ": " : "", detail));
}

}  // namespace damc
