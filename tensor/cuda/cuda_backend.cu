/// The GPU: shared kernels over CUDA loops, cuBLAS products, cuDNN convolutions, a stream-ordered memory
/// pool.

#include "tensor/cuda/cuda_backend.h"

#include "tensor/cuda/blas.h"
#include "tensor/cuda/columns.h"
#include "tensor/cuda/convolution.h"
#include "tensor/cuda/executor.cuh"
#include "tensor/cuda/graph.h"
#include "tensor/cuda/memory.h"
#include "tensor/cuda/nccl.h"
#include "tensor/cuda/staging.h"
#include "tensor/kernels/shared_kernels.h"
#include "tensor/rounded_filters.h"

namespace damc {
namespace {

class CudaBackend final : public SharedKernels<CudaExecutor> {
 public:
  explicit CudaBackend(int index)
      : memory_(index), blas_(memory_), convolutions_(memory_), rounded_(memory_.arenas()) {
    exec_ = CudaExecutor(memory_);
  }

  void* allocate(std::size_t bytes) override { return memory_.allocate(bytes); }
  void release(void* block, std::size_t bytes) override { memory_.release(block, bytes); }
  void copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind kind) override {
    memory_.copy(to, from, bytes, kind);
  }
  void synchronize() override { memory_.synchronize(); }
  std::unique_ptr<Staging> make_staging(std::size_t bytes) override {
    return std::make_unique<CudaStaging>(memory_, bytes);
  }
  std::size_t bytes_in_use() const override { return memory_.bytes_in_use(); }
  std::size_t bytes_reserved() const override { return memory_.bytes_reserved(); }

  std::unique_ptr<Recording> make_recording() override { return std::make_unique<CudaGraph>(memory_); }
  std::unique_ptr<Communicator> join(const Communicator& host) override {
    return join_by_nccl(host, memory_);
  }
  void pin(const Tensor& weight) override { rounded_.pin(weight); }
  void unpin(const Tensor& weight) override { rounded_.unpin(weight); }

  void gemm(const Tensor& a, const Tensor& b, const Tensor& bias, const ProductOptions& options,
            const Tensor& out) override {
    if (!blas_.gemm(a, b, bias, options, out)) finish(bias, options.activation, out);
  }

  void conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Tensor& bias,
              const ProductOptions& options, const Tensor& out) override {
    convolve(ConvPass::forward, s, options.precision, x, rounded_(filter, x.dtype()), out, out);
    finish(bias, options.activation, out);
  }

  void conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Tensor& bias,
                     const ProductOptions& options, const Tensor& out) override {
    const ConvTypes types = conv_types(out.dtype(), filter.dtype(), options.precision);
    if (s.n > 0 && conv_by_columns(ConvPass::grad_x, s, types)) {
      by_columns(ConvPass::grad_x, s, out, filter, g, bias, options);
      return;
    }
    convolve(ConvPass::grad_x, s, options.precision, out, rounded_(filter, g.dtype()), g, out);
    finish(bias, options.activation, out);
  }

  void conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x, MatmulPrecision precision,
                     const Tensor& out) override {
    convolve(ConvPass::grad_w, s, precision, x, out, g, out);
  }

 private:
  /// One pass over input x, filter and output y; `out` is the one of them that it writes.
  void convolve(ConvPass pass, const ConvGeometry& s, MatmulPrecision precision, const Tensor& x,
                const Tensor& filter, const Tensor& y, const Tensor& out) {
    if (s.n == 0) {  // which the library refuses; a weight gradient sums over no images
      out.fill(0.0);
      return;
    }
    if (s.is_gemm()) {
      const ConvProduct product = conv_product(pass, s, x, filter, y);
      blas_.gemm(product.a, product.b, {}, {{}, precision}, product.out);
      return;
    }
    const ConvTypes types = conv_types(x.dtype(), filter.dtype(), precision);
    if (conv_by_columns(pass, s, types)) {
      by_columns(pass, s, x, filter, y, {}, {{}, precision});
      return;
    }
    while (!convolve(pass, s, types, x, filter, y, out)) {
    }
  }

  /// One pass as a matrix product; bias and activation are those of grad_x.
  void by_columns(ConvPass pass, const ConvGeometry& s, const Tensor& x, const Tensor& filter,
                  const Tensor& y, const Tensor& bias, const ProductOptions& options) {
    dispatch_fused<float>(options.activation, [&](auto activation) {
      convolve_by_columns(
          pass, s, images_at_once(s), x, filter, y, data_or_null<float>(bias), activation,
          [&](std::int64_t rows, std::int64_t cols, const auto& body) { exec_.for_rows(rows, cols, body); },
          [&](const Tensor& a, const Tensor& b, const Tensor& out) {
            blas_.gemm(a, b, {}, {{}, options.precision}, out);
          });
    });
  }

  /// By the library's plan of now. False: it did not run.
  bool convolve(ConvPass pass, const ConvGeometry& s, const ConvTypes& types, const Tensor& x,
                const Tensor& filter, const Tensor& y, const Tensor& out) {
    const ConvForm form = convolutions_.form(pass, s, types);
    const bool second = form.channels == Channels::second;
    // What the library cannot read or write where it lies is copied. `out` is never cut out of another tensor, so
    // that it is aligned.
    const auto readable = [&](const Tensor& t) {
      if (second) return t.permute({0, 3, 1, 2}).clone();
      return alignment(t.raw()) >= kConvAlignment ? t : t.clone();
    };
    const Tensor x1 = readable(x), filter1 = readable(filter.to(form.filter)), y1 = readable(y);
    if (!convolutions_.run(pass, s, types, {x1.raw(), filter1.raw(), y1.raw()})) return false;
    const Tensor& written = pass == ConvPass::forward ? y1 : pass == ConvPass::grad_x ? x1 : filter1;
    if (written.raw() != out.raw()) out.copy_from(second ? written.permute({0, 2, 3, 1}) : written);
    return true;
  }

  CudaMemory memory_;
  Blas blas_;
  ConvolutionPlans convolutions_;
  RoundedFilters rounded_;
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(int index) { return std::make_unique<CudaBackend>(index); }

}  // namespace damc
