/// The GPU: shared kernels over CUDA loops, cuBLAS products, cuDNN convolutions, a stream-ordered memory
/// pool.

#include "tensor/cuda/cuda_backend.h"

#include "tensor/cuda/blas.h"
#include "tensor/cuda/convolution.h"
#include "tensor/cuda/executor.cuh"
#include "tensor/cuda/memory.h"
#include "tensor/shared_kernels.h"

namespace damc {
namespace {

class CudaBackend final : public SharedKernels<CudaExecutor> {
 public:
  explicit CudaBackend(int index)
      : memory_(index), blas_(memory_.stream()), convolutions_(memory_.stream(), ConvPolicy{}) {
    exec_ = CudaExecutor(memory_.stream(), memory_.processors());
  }

  void* allocate(std::size_t bytes) override { return memory_.allocate(bytes); }
  void release(void* block, std::size_t bytes) override { memory_.release(block, bytes); }
  void copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind kind) override {
    memory_.copy(to, from, bytes, kind);
  }
  void synchronize() override { memory_.synchronize(); }
  std::size_t bytes_in_use() const override { return memory_.bytes_in_use(); }
  std::size_t bytes_reserved() const override { return memory_.bytes_reserved(); }

  void gemm(const Tensor& a, const Tensor& b, const Epilogue& epilogue, const Tensor& out) override {
    blas_.gemm(a, b, out);
    finish(epilogue, out);
  }

  void conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Epilogue& epilogue,
              const Tensor& out) override {
    convolutions_.run(ConvPass::forward, s, out.dtype(), {x.raw(), filter.raw(), out.raw()});
    finish(epilogue, out);
  }

  void conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Epilogue& epilogue,
                     const Tensor& out) override {
    convolutions_.run(ConvPass::grad_x, s, out.dtype(), {out.raw(), filter.raw(), g.raw()});
    finish(epilogue, out);
  }

  void conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x, const Tensor& out) override {
    convolutions_.run(ConvPass::grad_w, s, out.dtype(), {x.raw(), out.raw(), g.raw()});
  }

 private:
  void finish(const Epilogue& epilogue, const Tensor& out) {
    dispatch_float(out.dtype(), [&]<class T>(T) {
      apply_epilogue<T>(epilogue, out.data<T>(), out.numel() / out.size(-1), out.size(-1));
    });
  }

  CudaMemory memory_;
  Blas blas_;
  ConvolutionPlans convolutions_;
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(int index) { return std::make_unique<CudaBackend>(index); }

}  // namespace damc
