#include "tensor/cuda/memory.h"

#include "tensor/cuda/check.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/error.h"

namespace damc {
namespace {

int device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

double mebibytes(std::size_t bytes) { return static_cast<double>(bytes) / 1048576.0; }

}  // namespace

CudaMemory::CudaMemory(int index) : index_(index) {
  const int count = device_count();
  if (index >= count) {
    user_error(fmt::format("no device cuda:{}: this machine has {} CUDA devices", index, count),
               count ? "'damc info' lists them" : "use --device cpu; is the NVIDIA driver loaded?");
  }
  check_cuda(cudaSetDevice(index), "cudaSetDevice");
  check_cuda(cudaDeviceGetAttribute(&processors_, cudaDevAttrMultiProcessorCount, index),
             "multiprocessor count");
  check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  check_cuda(cudaDeviceGetDefaultMemPool(&pool_, index), "default memory pool");
  std::uint64_t keep_all = ~std::uint64_t{0};
  check_cuda(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep_all),
             "memory pool threshold");
}

CudaMemory::~CudaMemory() { cudaStreamDestroy(stream_); }

void* CudaMemory::allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  void* block = nullptr;
  const cudaError_t status = cudaMallocAsync(&block, bytes, stream_);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // the failure is reported here and must not show up again at the next launch
    std::size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    throw Error(fmt::format(
        "cuda:{} is out of memory: asked for {:.1f} MiB, {:.1f} of {:.1f} MiB are free, {:.1f} in "
        "use here\nhint: a smaller --batch needs proportionally less",
        index_, mebibytes(bytes), mebibytes(free), mebibytes(total), mebibytes(in_use_)));
  }
  check_cuda(status, "cudaMallocAsync");
  in_use_ += bytes;
  return block;
}

void CudaMemory::release(void* block, std::size_t bytes) {
  if (!block) return;
  cudaFreeAsync(block, stream_);
  in_use_ -= bytes;
}

void CudaMemory::copy(void* to, const void* from, std::size_t bytes, CopyKind kind) {
  if (bytes == 0) return;
  const bool up = kind == CopyKind::host_to_device;
  check_cuda(cudaMemcpyAsync(to, from, bytes, up ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost, stream_),
             fmt::format("copy of {} bytes {} cuda:{}", bytes, up ? "to" : "from", index_));
  synchronize();
}

void CudaMemory::synchronize() { check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

std::size_t CudaMemory::bytes_reserved() const {
  std::uint64_t reserved = 0;
  check_cuda(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemHigh, &reserved), "memory pool size");
  return reserved;
}

std::string cuda_summary() {
  int runtime = 0, driver = 0;
  cudaRuntimeGetVersion(&runtime);
  cudaDriverGetVersion(&driver);
  std::string text = fmt::format("CUDA {}.{}, driver for {}.{}, cuDNN {}", runtime / 1000,
                                 runtime % 1000 / 10, driver / 1000, driver % 1000 / 10, cudnnGetVersion());
  for (int i = 0; i < device_count(); ++i) {
    cudaDeviceProp properties{};
    check_cuda(cudaGetDeviceProperties(&properties, i), "cudaGetDeviceProperties");
    text += fmt::format("\n  cuda:{} {}, sm_{}{}, {} multiprocessors, {:.0f} MiB", i, properties.name,
                        properties.major, properties.minor, properties.multiProcessorCount,
                        mebibytes(properties.totalGlobalMem));
  }
  if (device_count() == 0) text += "\n  no device";
  return text;
}

}  // namespace damc
