/// The part of the contract (backend.h) that is made for one network: several operations of the denoiser
/// (damc/nets/denoiser.h) in one kernel each. Its sampler runs blocks of a few small tensors a hundred times, where each
/// kernel that is saved counts.
#pragma once

#include "tensor/product_options.h"
#include "tensor/tensor.h"

namespace damc {

class FusedKernels {
 public:
  virtual ~FusedKernels() = default;

  // Shared; all contiguous.
  /// out = [sin 2 pi t, cos 2 pi t, z], t [N, n], z [N, m], out [N, 2n + m]
  virtual void fourier_features(const Tensor& t, const Tensor& z, const Tensor& out) = 0;
  /// out = 2 pi (g_1 y_2 - g_2 y_1) = dL/dt from y and g = dL/dy, whose columns 1 are [0, n), 2 are [n, 2n);
  /// y, g [N, 2n + m], out [N, n]
  virtual void fourier_features_vjp(const Tensor& g, const Tensor& y, const Tensor& out) = 0;
  /// out = act((y_1 + b) sigmoid(c_1) + y_2 + c_2): y and c are [N, 2n], their halves 1 and 2 are columns [0, n) and
  /// [n, 2n); c may be [1, 2n]; b is [n]. out is [N, n], its rows contiguous. Inference only.
  virtual void gated_sum(const Tensor& y, const Tensor& b, const Tensor& c, const Unary& activation,
                         const Tensor& out) = 0;

  // By device.
  /// gated_sum of y = x w^T in one pass; false, with nothing done, where the device would make two of it: gemm and
  /// gated_sum. x [N, k] and w [2n, k] as in gemm. The CPU's packed products.
  virtual bool gated_linear(const Tensor& /*x*/, const Tensor& /*w*/, const Tensor& /*b*/,
                            const Tensor& /*c*/, const ProductOptions& /*options*/, const Tensor& /*out*/) {
    return false;
  }
};

}  // namespace damc
