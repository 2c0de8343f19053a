/// The CUDA runtime's calls.
#include <cstring>

#include "tests/stand_in/gpu.h"
#include "tests/stand_in/launch.h"

using stand_in::gpu;
using stand_in::Graph;
using stand_in::kDevices;
using stand_in::Source;

namespace stand_in {

bool may_launch(const char* call, const dim3& blocks, const dim3& threads, cudaStream_t stream) {
  ++gpu.kernels;
  gpu.at_home(call, stream);
  if (gpu.recording() && !gpu.records(stream))
    gpu.problem(call, "on a stream of its own while another records");
  const auto in = [](unsigned n, unsigned most) { return n >= 1 && n <= most; };
  const bool fits = in(blocks.x, 0x7FFFFFFF) && in(blocks.y, 65535) && in(blocks.z, 65535) &&
                    in(threads.x * threads.y * threads.z, 1024) && threads.x <= 1024 && threads.y <= 1024 &&
                    threads.z <= 64;
  if (!fits) gpu.problem(call, "a grid beyond the limits");
  return fits;
}

void enqueue(cudaStream_t stream, std::function<void()> work) {
  gpu.enqueue("a kernel's launch", stream, std::move(work));
}

namespace {

/// A kernel that is not compiled for the host: nothing is done.
cudaError_t launch_nothing(const char* call, const dim3& blocks, const dim3& threads, cudaStream_t stream) {
  return may_launch(call, blocks, threads, stream) ? cudaSuccess : cudaErrorInvalidConfiguration;
}

}  // namespace
}  // namespace stand_in

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
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  return *value = static_cast<int>(stand_in::setting("STAND_IN_PROCESSORS", 132)), cudaSuccess;
}
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
  *total = gpu.total();
  *free = gpu.available(Source::malloc);
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** block, std::size_t bytes) {
  gpu.outside(__func__);
  return gpu.allocate(__func__, Source::malloc, block, bytes, nullptr);
}
/// Waits for the device's work.
cudaError_t cudaFree(void* block) {
  gpu.outside(__func__);
  return gpu.release(__func__, Source::malloc, block, nullptr);
}
cudaError_t cudaMallocAsync(void** block, std::size_t bytes, cudaStream_t stream) {
  gpu.on_stream(__func__, stream);
  return gpu.allocate(__func__, Source::pool, block, bytes, stream);
}
cudaError_t cudaFreeAsync(void* block, cudaStream_t stream) {
  gpu.on_stream(__func__, stream);
  return gpu.release(__func__, Source::pool, block, stream);
}
cudaError_t cudaHostAlloc(void** block, std::size_t bytes, unsigned) {
  gpu.outside(__func__);
  return *block = new char[bytes], cudaSuccess;
}
cudaError_t cudaFreeHost(void* block) {
  gpu.outside(__func__);
  return delete[] static_cast<char*>(block), cudaSuccess;
}
/// Asynchronous towards the host even for memory that is not pinned: the runtime may be that.
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  gpu.on_stream(__func__, stream);
  gpu.operand(__func__, kind == cudaMemcpyHostToDevice ? to : from, bytes);
  if (gpu.idle && kind == cudaMemcpyDeviceToHost) std::memset(to, gpu.nothing, bytes);
  gpu.enqueue(__func__, stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}

// Streams, events and graphs.
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return *stream = gpu.make_stream(), cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) { return gpu.destroy(stream), cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  gpu.on_stream(__func__, stream);
  return gpu.finish(stream), cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  gpu.at_home(__func__, stream);
  return gpu.wait(stream, event), cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return *event = gpu.make_event(), cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) { return gpu.destroy(event), cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  gpu.at_home(__func__, event);
  gpu.at_home(__func__, stream);
  return gpu.record(event, stream), cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  gpu.outside(__func__);
  return gpu.wait(event), cudaSuccess;
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return std::swap(*mode, gpu.mode), cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  gpu.at_home(__func__, stream);
  return gpu.begin_graph(stream), cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = reinterpret_cast<cudaGraph_t>(gpu.end_graph(stream).release());
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  ++gpu.graphs;
  const auto copy = std::make_shared<const Graph>(*reinterpret_cast<Graph*>(graph));
  *made = reinterpret_cast<cudaGraphExec_t>(new std::shared_ptr<const Graph>(copy));
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t made, cudaStream_t stream) {
  ++gpu.replays;
  gpu.on_stream(__func__, stream);
  const auto graph = *reinterpret_cast<std::shared_ptr<const Graph>*>(made);  // lives until that is done
  for (const auto& [address, bytes] : graph->operands) gpu.operand(__func__, address, bytes);
  gpu.enqueue(__func__, stream, [graph] {
    for (const auto& work : graph->work) work();
  });
  if (graph->meets_others) gpu.meet_others(stream);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return delete reinterpret_cast<Graph*>(graph), cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  return delete reinterpret_cast<std::shared_ptr<const Graph>*>(graph), cudaSuccess;
}
// A launch is one call up to CUDA 12 and two from 13 on.
cudaError_t cudaLaunchKernel(const void*, dim3 blocks, dim3 threads, void**, std::size_t,
                             cudaStream_t stream) {
  return stand_in::launch_nothing(__func__, blocks, threads, stream);
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void*) {
  return *kernel = gpu.make_handle<cudaKernel_t>(), cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3 blocks, dim3 threads, void**, std::size_t,
                               cudaStream_t stream) {
  return stand_in::launch_nothing(__func__, blocks, threads, stream);
}

}  // extern "C"
