#include "tensor/cuda/graph.h"

#include "tensor/cuda/check.h"
#include "tensor/error.h"

namespace damc {
namespace {

/// A stream while it notes work instead of doing it; ends with this, however that comes about.
class Capture {
 public:
  explicit Capture(cudaStream_t stream) : stream_(stream) {
    check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  }
  ~Capture() {
    if (!ended_) {
      cudaStreamEndCapture(stream_, &graph_);
      cudaGetLastError();  // the reason is in the exception that ends the capture
    }
    if (graph_) cudaGraphDestroy(graph_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  /// The graph, for as long as this lives.
  cudaGraph_t end() {
    ended_ = true;
    check_cuda(cudaStreamEndCapture(stream_, &graph_), "a step cannot be recorded: cudaStreamEndCapture");
    return graph_;
  }

 private:
  cudaStream_t stream_;
  cudaGraph_t graph_ = nullptr;
  bool ended_ = false;
};

}  // namespace

/// Kernels of the last replay may still run; the runtime waits for them where it must.
CudaGraph::~CudaGraph() {
  if (graph_) cudaGraphExecDestroy(graph_);
}

void CudaGraph::run(const Work& work) {
  arena_ = memory_.arena_of_steps();
  arena_->expect(memory_.peak_of(work));
}

void CudaGraph::record(const Work& work) {
  ENSURE(!graph_, "a step is recorded twice");
  memory_.use_device();
  arena_ = memory_.arena_of_steps();
  memory_.trim();
  arena_->prepare();  // before the stream records, when it is no exception to allocate
  const Arenas::Use use(memory_.arenas(), arena_);
  Capture capture(memory_.stream());
  work();
  ENSURE(!arena_->anything_out(), "a tensor that was made in a recorded step outlives it");
  check_cuda(cudaGraphInstantiateWithFlags(&graph_, capture.end(), 0), "cudaGraphInstantiate");
}

void CudaGraph::replay() {
  memory_.use_device();
  check_cuda(cudaGraphLaunch(graph_, memory_.stream()), "cudaGraphLaunch");
}

}  // namespace damc
