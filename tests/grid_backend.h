/// The shared kernels as the CUDA backend launches them, every thread run on the host (grid_executor.h): what a GPU
/// computes with them, on a machine without one. Memory, products and convolutions are the CPU's.
#pragma once

#include "tensor/kernels/shared_kernels.h"
#include "tests/grid_executor.h"

namespace damc {

class GridBackend final : public SharedKernels<GridExecutor> {
 public:
  void* allocate(std::size_t bytes) override { return cpu_.allocate(bytes); }
  void release(void* block, std::size_t bytes) override { cpu_.release(block, bytes); }
  void copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind kind) override {
    cpu_.copy_bytes(to, from, bytes, kind);
  }
  void synchronize() override {}
  std::size_t bytes_in_use() const override { return cpu_.bytes_in_use(); }
  std::size_t bytes_reserved() const override { return cpu_.bytes_reserved(); }

  void gemm(const Tensor& a, const Tensor& b, const Tensor& bias, const ProductOptions& options,
            const Tensor& out) override {
    cpu_.gemm(a, b, {}, {{}, options.precision}, out);
    finish(bias, options.activation, out);
  }
  void conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Tensor& bias,
              const ProductOptions& options, const Tensor& out) override {
    cpu_.conv2d(s, x, filter, {}, {{}, options.precision}, out);
    finish(bias, options.activation, out);
  }
  void conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Tensor& bias,
                     const ProductOptions& options, const Tensor& out) override {
    cpu_.conv2d_grad_x(s, g, filter, {}, {{}, options.precision}, out);
    finish(bias, options.activation, out);
  }
  void conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x, MatmulPrecision precision,
                     const Tensor& out) override {
    cpu_.conv2d_grad_w(s, g, x, precision, out);
  }

 private:
  Backend& cpu_ = backend(Device{});
};

}  // namespace damc
