/// What `damc info` says of the GPU side: versions, and every device with its memory.

#include <cublasLt.h>

#include "tensor/cuda/check.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/nccl.h"
#include "tensor/error.h"

namespace damc {
namespace {

/// CUDA numbers its versions 1000 major + 10 minor.
std::string cuda_version(int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); }

std::string library_versions() {
  int runtime = 0, driver = 0;
  check_cuda(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  check_cuda(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  const std::size_t blas = cublasLtGetVersion(), dnn = cudnnGetVersion();
  return fmt::format(
      "runtime {}, {}, cuBLAS {}.{}.{}, cuDNN {}.{}.{}", cuda_version(runtime),
      driver ? fmt::format("driver for up to {}", cuda_version(driver)) : std::string("no driver"),
      blas / 10000, blas % 10000 / 100, blas % 100, dnn / 10000, dnn % 10000 / 100, dnn % 100);
}

std::string device_line(int index) {
  cudaDeviceProp properties{};
  check_cuda(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
  std::size_t free = 0, total = 0;
  const bool answers = cudaSetDevice(index) == cudaSuccess && cudaMemGetInfo(&free, &total) == cudaSuccess;
  const auto mebibytes = [](std::size_t bytes) { return static_cast<double>(bytes) / 1048576.0; };
  return fmt::format(
      "\n  cuda:{} {}, compute capability {}.{}, {} multiprocessors, {}", index, properties.name,
      properties.major, properties.minor, properties.multiProcessorCount,
      answers ? fmt::format("{:.0f} of {:.0f} MiB free", mebibytes(free), mebibytes(total))
              : fmt::format("{:.0f} MiB, not available now", mebibytes(properties.totalGlobalMem)));
}

}  // namespace

std::string cuda_identity(int index) {
  cudaDeviceProp properties{};
  const cudaError_t status = cudaGetDeviceProperties(&properties, index);
  if (status != cudaSuccess) {
    user_error(fmt::format("no device cuda:{}: {}", index, cudaGetErrorString(status)), "use --device cpu");
  }
  return fmt::format("{}, {}", properties.name, library_versions());
}

int cuda_device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

std::string cuda_summary() {
  int count = 0;
  std::string text = fmt::format("{}, {}", library_versions(), nccl_summary());
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) return text + fmt::format("\n  no device: {}", cudaGetErrorString(status));
  for (int i = 0; i < count; ++i) text += device_line(i);
  return text;
}

}  // namespace damc
