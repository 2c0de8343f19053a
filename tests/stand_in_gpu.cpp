/// A GPU that computes nothing and judges every call: the CUDA runtime, cuBLAS and cuDNN, to be preloaded before a
/// program with the CUDA backend (test_cuda_calls.sh). So the backend's host code runs whole on a machine without a
/// GPU.
///
/// Device memory is address space without any right of access: host code that touches it dies. What comes back from the
/// device has all bits set (every float is NaN), or with STAND_IN_FINITE set is -1.5 in f32. A rule that a call breaks is printed, and the last line counts them:
/// - streams, events, handles and blocks are used while their device is the thread's
/// - memory is returned once, by the call that belongs to it; operands of library calls are live, and those of a
///   recorded call still are at every replay
/// - while a stream records, the thread makes no call that the runtime refuses then, and launches go to that stream
/// - launches keep to the limits of a grid; products are well-formed; convolutions get aligned operands
///
/// There are two devices, each with STAND_IN_MIB of memory, else 80 GiB; the pool keeps what it is given back until it
/// is trimmed. cuDNN's descriptors are the library's own, plans are made for a described H100, and every Nth of them
/// does not run if STAND_IN_REFUSES is N.
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <dlfcn.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "tensor/cuda/convolution.h"
#include "tests/described_gpus.h"

namespace {

constexpr std::size_t kAddresses = std::size_t{1} << 42;

constexpr int kDevices = 2;

const std::size_t kMemory = [] {
  const char* mebibytes = std::getenv("STAND_IN_MIB");
  return static_cast<std::size_t>(mebibytes ? std::atoll(mebibytes) : 80 * 1024) << 20;
}();

// Every byte that comes back. As an integer it is negative, as what says that no number was not finite is.
const int kReadBack = std::getenv("STAND_IN_FINITE") ? 0xBF : 0xFF;

enum class Source { pool, malloc };

struct Graph {
  std::vector<const void*> operands;
};

struct Block {
  std::size_t bytes;
  Source source;
  int device;
};

/// The state of the devices and of the only thread that uses them.
class StandIn {
 public:
  ~StandIn() {
    std::fprintf(stderr,
                 "stand-in GPU: %d problems; %d kernels, %d products, %d convolutions, %d refused, %d "
                 "graphs, %d replays\n",
                 problems, kernels, products, convolutions, refused, graphs, replays);
  }

  void problem(const char* call, const char* what) {
    ++problems;
    std::fprintf(stderr, "stand-in GPU: problem: %s: %s\n", call, what);
  }
  /// A call that is refused while this thread records, unless it says that it stands outside.
  void outside(const char* call) {
    if (recording && mode != cudaStreamCaptureModeRelaxed) problem(call, "refused while a stream records");
  }
  /// Something to point at, of the current device or another.
  template <class Handle>
  Handle make_handle(int of = -1) {
    auto* made = new char;
    homes_[made] = of < 0 ? device : of;
    return reinterpret_cast<Handle>(made);
  }
  int home(const void* handle) const { return homes_.at(handle); }
  void at_home(const char* call, const void* handle) {
    const auto home = homes_.find(handle);
    if (home == homes_.end() || home->second != device) problem(call, "with what is another device's");
  }
  /// A call that has no place on a stream that records.
  void on_stream(const char* call, cudaStream_t stream) {
    at_home(call, stream);
    if (recording && stream == recording) problem(call, "not for a stream that records");
  }

  cudaError_t allocate(const char* call, Source source, void** block, std::size_t bytes) {
    const std::size_t size = (bytes + 511) / 512 * 512;
    if (size > available(source)) return cudaErrorMemoryAllocation;
    if (!memory_) {
      memory_ = static_cast<char*>(
          mmap(nullptr, kAddresses, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    }
    *block = memory_ + next_;
    next_ += size;  // no address twice, so that a stale one shows
    if (next_ > kAddresses) problem(call, "out of addresses");
    live_[static_cast<const char*>(*block)] = {size, source, device};
    held(source, device) += size;
    reserved[device] = std::max(reserved[device], held(Source::pool, device));
    most_reserved[device] = std::max(most_reserved[device], reserved[device]);
    return cudaSuccess;
  }
  cudaError_t release(const char* call, Source source, void* block) {
    const auto found = live_.find(static_cast<const char*>(block));
    if (found == live_.end() || found->second.source != source ||
        (source == Source::pool && found->second.device != device)) {
      problem(call, "no such block");
      return cudaErrorInvalidValue;
    }
    held(source, found->second.device) -= found->second.bytes;
    live_.erase(found);
    return cudaSuccess;
  }
  std::size_t& held(Source source, int of) { return bytes_[of][static_cast<int>(source)]; }
  /// For a request: the pool keeps what it was given back until it is trimmed.
  std::size_t available(Source source) {
    const std::size_t free = kMemory - reserved[device] - held(Source::malloc, device);
    return source == Source::malloc ? free : free + reserved[device] - held(Source::pool, device);
  }

  bool is_live(const void* address) const {
    const auto after = live_.upper_bound(static_cast<const char*>(address));
    if (after == live_.begin()) return false;
    const auto& [first, block] = *std::prev(after);
    return block.device == device && address < first + block.bytes;
  }
  void operand(const char* call, const void* address) {
    if (!is_live(address)) problem(call, "an operand that is not in the device's memory, or no longer");
    if (recording) graph.operands.push_back(address);
  }

  /// Whether this one of cuDNN's plans is made to fail. What has run goes on running.
  bool refuses(const void* plan) {
    static const char* every = std::getenv("STAND_IN_REFUSES");
    if (!every || proven_.contains(plan)) return false;
    if (++plans_ % std::max(1, std::atoi(every)) == 0) return ++refused, true;
    proven_.insert(plan);
    return false;
  }

  void forget_plan(const void* plan) { proven_.erase(plan); }

  int device = 0;                                                     // the thread's
  std::size_t reserved[kDevices] = {}, most_reserved[kDevices] = {};  // by the pools
  int problems = 0, kernels = 0, products = 0, convolutions = 0, refused = 0, graphs = 0, replays = 0;
  cudaStream_t recording = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  Graph graph;
  std::map<void*, std::vector<const void*>> packs;  // operands of cuDNN's variant packs

 private:
  char* memory_ = nullptr;
  std::size_t next_ = 0, bytes_[kDevices][2] = {};
  std::map<const char*, Block> live_;
  std::map<const void*, int> homes_;  // devices of handles
  std::set<const void*> proven_;      // plans
  int plans_ = 0;
};

StandIn gpu;

cudaError_t launch(const char* call, const dim3& blocks, const dim3& threads, cudaStream_t stream) {
  ++gpu.kernels;
  gpu.at_home(call, stream);
  if (!stream || (gpu.recording && stream != gpu.recording)) gpu.problem(call, "on a stream of its own");
  const auto in = [](unsigned n, unsigned most) { return n >= 1 && n <= most; };
  if (!in(blocks.x, 0x7FFFFFFF) || !in(blocks.y, 65535) || !in(blocks.z, 65535) ||
      !in(threads.x * threads.y * threads.z, 1024))
    gpu.problem(call, "a grid beyond the limits");
  return cudaSuccess;
}

cudnnStatus_t set_attribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                            cudnnBackendAttributeType_t type, std::int64_t count, const void* values) {
  static const auto library =
      reinterpret_cast<decltype(&cudnnBackendSetAttribute)>(dlsym(RTLD_NEXT, "cudnnBackendSetAttribute"));
  return library(descriptor, name, type, count, values);
}

/// Tells the library which device a heuristic or plan is for.
cudnnStatus_t describe_device(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name) {
  static const cudnnBackendDescriptor_t device = [] {
    cudnnBackendDescriptor_t made = nullptr;
    const std::string json = damc::kH100.json();
    cudnnBackendCreateDescriptor(damc::kDeviceDescriptor, &made);
    set_attribute(made, damc::kDeviceJson, CUDNN_TYPE_CHAR, static_cast<std::int64_t>(json.size()),
                  json.data());
    cudnnBackendFinalize(made);
    return made;
  }();
  return set_attribute(descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &device);
}

}  // namespace

extern "C" {

// Device and memory.
cudaError_t cudaGetDeviceCount(int* count) { return *count = kDevices, cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "stand-in");
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= kDevices) return cudaErrorInvalidDevice;
  return gpu.device = device, cudaSuccess;
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) { return *value = 132, cudaSuccess; }
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  return *pool = gpu.make_handle<cudaMemPool_t>(device), cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr which, void*) {
  gpu.outside(__func__);
  const int of = gpu.home(pool);
  if (which == cudaMemPoolAttrReservedMemHigh) gpu.most_reserved[of] = gpu.reserved[of];
  return cudaSuccess;
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr which, void* value) {
  gpu.outside(__func__);
  const int of = gpu.home(pool);
  const std::uint64_t bytes = which == cudaMemPoolAttrUsedMemCurrent    ? gpu.held(Source::pool, of)
                              : which == cudaMemPoolAttrReservedMemHigh ? gpu.most_reserved[of]
                                                                        : gpu.reserved[of];
  std::memcpy(value, &bytes, sizeof bytes);
  return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, std::size_t) {
  gpu.outside(__func__);
  const int of = gpu.home(pool);
  gpu.reserved[of] = gpu.held(Source::pool, of);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = kMemory;
  *free = gpu.available(Source::malloc);
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** block, std::size_t bytes) {
  gpu.outside(__func__);
  return gpu.allocate(__func__, Source::malloc, block, bytes);
}
cudaError_t cudaFree(void* block) {
  gpu.outside(__func__);
  return gpu.release(__func__, Source::malloc, block);
}
cudaError_t cudaMallocAsync(void** block, std::size_t bytes, cudaStream_t stream) {
  gpu.on_stream(__func__, stream);
  return gpu.allocate(__func__, Source::pool, block, bytes);
}
cudaError_t cudaFreeAsync(void* block, cudaStream_t stream) {
  gpu.on_stream(__func__, stream);
  return gpu.release(__func__, Source::pool, block);
}
cudaError_t cudaHostAlloc(void** block, std::size_t bytes, unsigned) {
  gpu.outside(__func__);
  return *block = new char[bytes], cudaSuccess;
}
cudaError_t cudaFreeHost(void* block) {
  gpu.outside(__func__);
  return delete[] static_cast<char*>(block), cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  gpu.on_stream(__func__, stream);
  gpu.operand(__func__, kind == cudaMemcpyHostToDevice ? to : from);
  if (kind == cudaMemcpyDeviceToHost) std::memset(to, kReadBack, bytes);
  return cudaSuccess;
}

// Streams, events and graphs.
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return *stream = gpu.make_handle<cudaStream_t>(), cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t s) { return gpu.on_stream(__func__, s), cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t, unsigned) {
  return gpu.on_stream(__func__, s), cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return *event = gpu.make_handle<cudaEvent_t>(), cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t s) {
  gpu.at_home(__func__, event);
  return gpu.on_stream(__func__, s), cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return gpu.outside(__func__), cudaSuccess; }
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return std::swap(*mode, gpu.mode), cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (gpu.recording) gpu.problem(__func__, "two recordings at once");
  gpu.recording = stream;
  gpu.graph = {};
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (gpu.recording != stream) gpu.problem(__func__, "the stream does not record");
  gpu.recording = nullptr;
  *graph = reinterpret_cast<cudaGraph_t>(new Graph(std::move(gpu.graph)));
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  ++gpu.graphs;
  *made = reinterpret_cast<cudaGraphExec_t>(new Graph(*reinterpret_cast<Graph*>(graph)));
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  ++gpu.replays;
  gpu.on_stream(__func__, stream);
  for (const void* operand : reinterpret_cast<Graph*>(graph)->operands) gpu.operand(__func__, operand);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return delete reinterpret_cast<Graph*>(graph), cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  return delete reinterpret_cast<Graph*>(graph), cudaSuccess;
}
// A launch is one call up to CUDA 12 and two from 13 on.
cudaError_t cudaLaunchKernel(const void*, dim3 blocks, dim3 threads, void**, std::size_t,
                             cudaStream_t stream) {
  return launch(__func__, blocks, threads, stream);
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void*) {
  return *kernel = gpu.make_handle<cudaKernel_t>(), cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3 blocks, dim3 threads, void**, std::size_t,
                               cudaStream_t stream) {
  return launch(__func__, blocks, threads, stream);
}

// cuBLAS.
cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  return *handle = gpu.make_handle<cublasHandle_t>(), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  gpu.at_home(__func__, handle);
  return gpu.at_home(__func__, stream), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void* block, std::size_t) {
  return gpu.operand(__func__, block), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGemmStridedBatchedEx_64(cublasHandle_t handle, cublasOperation_t of_a,
                                             cublasOperation_t of_b, std::int64_t m, std::int64_t n,
                                             std::int64_t k, const void*, const void* A, cudaDataType type_a,
                                             std::int64_t ld_a, long long, const void* B, cudaDataType type_b,
                                             std::int64_t ld_b, long long, const void*, void* C,
                                             cudaDataType type_c, std::int64_t ld_c, long long,
                                             std::int64_t batches, cublasComputeType_t, cublasGemmAlgo_t) {
  ++gpu.products;
  gpu.at_home(__func__, handle);
  for (const void* operand : {A, B, static_cast<const void*>(C)}) gpu.operand(__func__, operand);
  const bool sums_wider = type_a == CUDA_R_16BF && type_c == CUDA_R_32F;
  if (std::min({m, n, k, batches}) < 1 || ld_a < (of_a == CUBLAS_OP_N ? m : k) ||
      ld_b < (of_b == CUBLAS_OP_N ? k : n) || ld_c < m || type_a != type_b ||
      (type_a != type_c && !sums_wider))
    gpu.problem(__func__, "a product that is none");
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  return *handle = gpu.make_handle<cublasLtHandle_t>(), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, int,
                                              cublasLtMatmulHeuristicResult_t*, int* count) {
  if (gpu.recording) gpu.problem(__func__, "a shape that the runs before the recording did not have");
  return *count = 1, CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t, const void*, const void* A,
                              cublasLtMatrixLayout_t, const void* B, cublasLtMatrixLayout_t, const void*,
                              const void* C, cublasLtMatrixLayout_t, void* D, cublasLtMatrixLayout_t,
                              const cublasLtMatmulAlgo_t*, void* workspace, std::size_t,
                              cudaStream_t stream) {
  ++gpu.products;
  gpu.at_home(__func__, handle);
  gpu.at_home(__func__, stream);
  for (const void* operand : {A, B, C, static_cast<const void*>(D), static_cast<const void*>(workspace)})
    gpu.operand(__func__, operand);
  return CUBLAS_STATUS_SUCCESS;
}

// cuDNN.
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  return *handle = gpu.make_handle<cudnnHandle_t>(), CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  gpu.at_home(__func__, handle);
  return gpu.at_home(__func__, stream), CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t count,
                                       const void* values) {
  switch (name) {
    case CUDNN_ATTR_OPERATIONGRAPH_HANDLE:
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_EXECUTION_PLAN_HANDLE:
      return describe_device(descriptor, damc::kPlanDevice);
    case CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH:
      if (gpu.recording) gpu.problem(__func__, "a shape that the runs before the recording did not have");
      describe_device(descriptor, damc::kHeuristicsDevice);
      break;
    case CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS: {
      const auto* pointers = static_cast<const void* const*>(values);
      gpu.packs[descriptor].assign(pointers, pointers + count);
      break;
    }
    default:
      break;
  }
  return set_attribute(descriptor, name, type, count, values);
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  static const auto library = reinterpret_cast<decltype(&cudnnBackendDestroyDescriptor)>(
      dlsym(RTLD_NEXT, "cudnnBackendDestroyDescriptor"));
  gpu.forget_plan(descriptor);
  return library(descriptor);
}
cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  if (gpu.refuses(plan)) return CUDNN_STATUS_EXECUTION_FAILED;
  ++gpu.convolutions;
  gpu.at_home(__func__, handle);
  for (const void* operand : gpu.packs[pack]) {
    gpu.operand(__func__, operand);
    if (reinterpret_cast<std::uintptr_t>(operand) % 16 != 0) gpu.problem(__func__, "an operand not aligned");
  }
  return CUDNN_STATUS_SUCCESS;
}

}  // extern "C"
