/// The contract: everything a device must do. A backend that lacks a kernel does not compile.
///
/// Operands are checked by tensor/ops.cpp before they come here: same device, same float type, fitting
/// shapes. "Shared" kernels are written once, in tensor/kernels/shared_kernels.h; only memory, gemm and convolution
/// differ by device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "tensor/communicator.h"
#include "tensor/conv_geometry.h"
#include "tensor/fused_kernels.h"
#include "tensor/pooling.h"
#include "tensor/product_options.h"
#include "tensor/tensor.h"

namespace damc {

enum class CopyKind { host_to_device, device_to_host };

/// Where a draw of random numbers starts: block number `state[1] + delta` of the stream (seed `state[0]`,
/// `stream`). `state` is an i64 tensor of two on the device, so that a captured step draws new noise at each
/// replay.
struct RandomSlice {
  Tensor state;
  std::uint64_t stream = 0;
  std::uint64_t delta = 0;
};

/// A tensor that Adam or AdamW updates, and what it needs of it: all contiguous, of one shape and type.
struct AdamTensors {
  Tensor param, grad, m, v;
};
/// One update; see optim/adam.h for the equations.
struct AdamStep {
  Tensor schedule;   ///< f64 of three on the device: learning rate, beta1^t, beta2^t
  Tensor grad_norm;  ///< scalar of the parameter's type: global norm of the gradients; undefined: no clipping
  double max_norm, beta1, beta2, eps, weight_decay;
  Tensor watch = {};  ///< see Backend::watch; undefined: always updates
};

/// What becomes of the operands of Backend::noisy_update.
struct UpdateScales {
  double z, g, w;
};

/// A tensor that moves toward another: both contiguous, of one shape and type.
struct LerpTensors {
  Tensor target, source;
};

/// One step's kernels, once recorded; tensor/record.h is the way to use it.
///
/// While work is recorded, memory comes from blocks that go to nobody but other captured steps (tensor/arena.h). The
/// work gives all of them back before it ends.
class Recording {
 public:
  using Work = std::function<void()>;

  virtual ~Recording() = default;
  /// Runs the work's kernels as they come, to learn what memory it takes.
  virtual void run(const Work& work) = 0;
  /// Notes the work's kernels in the place of running them; once. Throws Error when a tensor made in it outlives it.
  virtual void record(const Work& work) = 0;
  /// Runs the recorded kernels on the operands that they were recorded with.
  virtual void replay() = 0;
};

/// Memory on the host from which a device is filled while it computes (tensor/staging.h). A copy may run beside all work that was queued since the last arrive(), so its
/// target must be memory that only earlier work used: two targets in turn, allocated before the staging and freed
/// after it.
class Staging {
 public:
  virtual ~Staging() = default;
  /// The host's side, to be written from start to end; waits until the last send has read it.
  virtual void* host() = 0;
  /// Queues a copy of the host's side to device memory.
  virtual void send(void* to) = 0;
  /// Work queued from here on comes after the last send.
  virtual void arrive() = 0;
};

class Backend : public FusedKernels {
 public:
  // Memory: CPU pool of host memory; CUDA stream-ordered pool.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* block, std::size_t bytes) = 0;
  virtual void copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind kind) = 0;
  virtual void synchronize() = 0;
  /// From pin to unpin the values of a weight do not change; pins nest. See PinnedWeights.
  virtual void pin(const Tensor& /*weight*/) {}
  virtual void unpin(const Tensor& /*weight*/) {}
  /// Staging for copies of `bytes` that run beside the device's work: CUDA's, from pinned memory. Null: none.
  virtual std::unique_ptr<Staging> make_staging(std::size_t /*bytes*/) { return nullptr; }
  /// Bytes handed out now, and the most the pool has held.
  virtual std::size_t bytes_in_use() const = 0;
  virtual std::size_t bytes_reserved() const = 0;

  // By device: CUDA graphs. The CPU starts kernels at no cost, so that there is nothing to record: null.
  virtual std::unique_ptr<Recording> make_recording() { return nullptr; }

  // By device: NCCL. Joins the processes of `host`, which has to outlive it, for tensors of this device; every process
  // calls it. Null: `host` sends them itself.
  virtual std::unique_ptr<Communicator> join(const Communicator& /*host*/) { return nullptr; }

  // Shared, pointwise. Operands may be strided; inputs have the output's shape (stride 0 where they repeat).
  virtual void fill(double value, const Tensor& out) = 0;
  virtual void copy(const Tensor& in, const Tensor& out) = 0;
  virtual void unary(const Unary& f, const Tensor& x, const Tensor& out) = 0;
  /// out = g f'(x), y = f(x); all contiguous but g.
  virtual void unary_vjp(const Unary& f, const Tensor& g, const Tensor& x, const Tensor& y,
                         const Tensor& out) = 0;
  virtual void binary(BinaryOp f, const Tensor& a, const Tensor& b, const Tensor& out) = 0;

  // Shared, reducing. x is [outer, reduced, inner], out [outer, inner] (f32 for a bf16 x), all contiguous.
  virtual void sum(const Tensor& x, const Tensor& out) = 0;
  /// out = sum of squares over all xs: contiguous, at most kMostTensors, of out's type; out is a scalar.
  virtual void sum_squares(std::span<const Tensor> xs, const Tensor& out) = 0;

  // Shared, pooling (tensor/pooling.h) of contiguous N,H,W,C images.
  virtual void pool2d(const Pooling& pooling, const Tensor& x, const Tensor& out) = 0;
  /// out = dL/dx from g = dL/dy; of a maximum it goes to the first of each window's largest elements, which x and y say;
  /// they are undefined for a mean.
  virtual void pool2d_grad_x(const Pooling& pooling, const Tensor& g, const Tensor& x, const Tensor& y,
                             const Tensor& out) = 0;
  /// out = the elements of `from`, an image like x, at the first of the largest elements of each window of x.
  virtual void pool2d_select(const Pooling& pooling, const Tensor& x, const Tensor& from,
                             const Tensor& out) = 0;

  // Shared, instance normalisation over the pixels of x [N, P, C]; mean, rstd, sums are [N, C]; w, b are [C]; all but
  // x, g and out are f32 where those are bf16.
  virtual void instance_norm_stats(const Tensor& x, double eps, const Tensor& mean, const Tensor& rstd) = 0;
  /// out = act((x - mean) rstd w + b)
  virtual void instance_norm(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& w,
                             const Tensor& b, const Unary& activation, const Tensor& out) = 0;
  /// sum_g = sum over pixels of g, sum_gx = sum over pixels of g (x - mean) rstd
  virtual void instance_norm_sums(const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                                  const Tensor& sum_g, const Tensor& sum_gx) = 0;
  /// out = w rstd (g - sum_g / P - (x - mean) rstd sum_gx / P)
  virtual void instance_norm_grad_x(const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                                    const Tensor& w, const Tensor& sum_g, const Tensor& sum_gx,
                                    const Tensor& out) = 0;

  // By device: OpenBLAS; cuBLAS. out = act(a b + bias): a [.., M, K], b [.., K, N], out [.., M, N] contiguous, 2 or 3
  // dimensions; one of the last two strides of a and b is 1. `bias` is over the last dimension, f32 for bf16, or
  // undefined; activations are those that fuse.
  virtual void gemm(const Tensor& a, const Tensor& b, const Tensor& bias, const ProductOptions& options,
                    const Tensor& out) = 0;

  // By device: im2col / col2im and gemm; cuDNN. Contiguous N,H,W,C images and Cout,kH,kW,Cin/groups filters. Filters and
  // their gradients are f32 where the images are bf16; the products are those of the filter, or of its Winograd
  // transform, rounded to bf16.
  virtual void conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Tensor& bias,
                      const ProductOptions& options, const Tensor& out) = 0;
  virtual void conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Tensor& bias,
                             const ProductOptions& options, const Tensor& out) = 0;
  virtual void conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x,
                             MatmulPrecision precision, const Tensor& out) = 0;

  // Shared, random: Philox4x32-10 (tensor/kernels/philox.h); out contiguous. Block k gives elements 4k .. 4k+3.
  virtual void normal(const RandomSlice& slice, const Tensor& out) = 0;
  virtual void uniform(const RandomSlice& slice, const Tensor& out) = 0;
  /// state[1] += blocks
  virtual void advance(const Tensor& state, std::uint64_t blocks) = 0;

  // Shared, updates in place.
  /// z <- scales.z z + scales.g g + scales.w w, w ~ N(0, I), or 0 where the noise's state is undefined: a Langevin
  /// step, Eq. (3), and one of the ancestral sampler, Eq. (5). All contiguous.
  virtual void noisy_update(const Tensor& z, const Tensor& g, const UpdateScales& scales,
                            const RandomSlice& noise) = 0;
  /// All tensors are of one type.
  virtual void adam(std::span<const AdamTensors> tensors, const AdamStep& step) = 0;
  /// schedule[1] *= beta1, schedule[2] *= beta2. Here and below `watch` may be undefined.
  virtual void adam_tick(const Tensor& schedule, double beta1, double beta2, const Tensor& watch) = 0;
  /// If `value`, a scalar, is not finite and no number before was: state[1] = state[0], state[2] = 2 code + (1
  /// for NaN, 0 for infinite). `state` is i64 of three, its second number negative while all numbers were
  /// finite; from then on adam, adam_tick and lerp do nothing under it. See optim/watch.h.
  virtual void watch(const Tensor& value, std::int64_t code, const Tensor& state) = 0;
  /// target <- (1 - rate) target + rate source; all tensors are of one type.
  virtual void lerp(std::span<const LerpTensors> tensors, double rate, const Tensor& watch) = 0;
};

/// The backend of a device (devices.cpp). Throws UserError when this build or machine does not have it.
Backend& backend(Device device);

/// A promise that while it lives these weights do not change and serve many products, as in a chain: their
/// backend may prepare each once, not at every use. A captured step (tensor/record.h) gains by what is pinned within it
/// only.
class PinnedWeights {
 public:
  /// All on one device.
  explicit PinnedWeights(std::vector<Tensor> weights);
  ~PinnedWeights();
  PinnedWeights(const PinnedWeights&) = delete;
  PinnedWeights& operator=(const PinnedWeights&) = delete;

 private:
  std::vector<Tensor> weights_;
  Backend* backend_;
};

/// Puts another backend in the place of a device's while it lives; for tests and traces (tensor/watch/trace.h). The
/// device itself need not exist. Tensors on it must not outlive the override.
class BackendOverride {
 public:
  BackendOverride(Device device, std::unique_ptr<Backend> replacement);
  ~BackendOverride();
  BackendOverride(const BackendOverride&) = delete;
  BackendOverride& operator=(const BackendOverride&) = delete;

 private:
  Device device_;
  std::unique_ptr<Backend> previous_;
};

}  // namespace damc
