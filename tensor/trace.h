/// Watching kernels: a backend that tells an observer of every call before it passes it on.
///
/// DAMC_TRACE=1 in the environment prints one line per kernel (name, output shape, microseconds) to stderr.
/// Tests use an observer of their own, to count which kernels a computation runs.
#pragma once

#include <functional>
#include <memory>

#include "tensor/backend.h"

namespace damc {

/// Passes every call to `inner`; `around(name, out, call)` must run call() once. `out` is what the kernel
/// writes.
class ObservedBackend : public Backend {
 public:
  using Around = std::function<void(const char* name, const Tensor& out, const std::function<void()>& call)>;

  ObservedBackend(Backend& inner, Around around) : inner_(inner), around_(std::move(around)) {}

  void* allocate(std::size_t bytes) override { return inner_.allocate(bytes); }
  void release(void* block, std::size_t bytes) override { inner_.release(block, bytes); }
  void copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind kind) override {
    inner_.copy_bytes(to, from, bytes, kind);
  }
  void synchronize() override { inner_.synchronize(); }
  void hold(const Tensor& weight) override { inner_.hold(weight); }
  void release(const Tensor& weight) override { inner_.release(weight); }
  std::unique_ptr<Staging> make_staging(std::size_t bytes) override { return inner_.make_staging(bytes); }
  std::size_t bytes_in_use() const override { return inner_.bytes_in_use(); }
  std::size_t bytes_reserved() const override { return inner_.bytes_reserved(); }

  /// Null: a replay would hide its kernels from the observer.
  std::unique_ptr<Recording> make_recording() override { return nullptr; }

  void fill(double value, const Tensor& out) override {
    around_("fill", out, [&] { inner_.fill(value, out); });
  }
  void copy(const Tensor& in, const Tensor& out) override {
    around_("copy", out, [&] { inner_.copy(in, out); });
  }
  void unary(const Unary& f, const Tensor& x, const Tensor& out) override {
    around_("unary", out, [&] { inner_.unary(f, x, out); });
  }
  void unary_vjp(const Unary& f, const Tensor& g, const Tensor& x, const Tensor& y,
                 const Tensor& out) override {
    around_("unary_vjp", out, [&] { inner_.unary_vjp(f, g, x, y, out); });
  }
  void binary(BinaryOp f, const Tensor& a, const Tensor& b, const Tensor& out) override {
    around_("binary", out, [&] { inner_.binary(f, a, b, out); });
  }
  void sum(const Tensor& x, const Tensor& out) override {
    around_("sum", out, [&] { inner_.sum(x, out); });
  }
  void sum_squares(std::span<const Tensor> xs, const Tensor& out) override {
    around_("sum_squares", out, [&] { inner_.sum_squares(xs, out); });
  }
  void instance_norm_stats(const Tensor& x, double eps, const Tensor& mean, const Tensor& rstd) override {
    around_("instance_norm_stats", mean, [&] { inner_.instance_norm_stats(x, eps, mean, rstd); });
  }
  void instance_norm(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& w,
                     const Tensor& b, const Unary* activation, const Tensor& out) override {
    around_("instance_norm", out, [&] { inner_.instance_norm(x, mean, rstd, w, b, activation, out); });
  }
  void instance_norm_sums(const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                          const Tensor& sum_g, const Tensor& sum_gx) override {
    around_("instance_norm_sums", sum_g, [&] { inner_.instance_norm_sums(g, x, mean, rstd, sum_g, sum_gx); });
  }
  void instance_norm_grad_x(const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                            const Tensor& w, const Tensor& sum_g, const Tensor& sum_gx,
                            const Tensor& out) override {
    around_("instance_norm_grad_x", out,
            [&] { inner_.instance_norm_grad_x(g, x, mean, rstd, w, sum_g, sum_gx, out); });
  }
  void fourier_features(const Tensor& t, const Tensor& z, const Tensor& out) override {
    around_("fourier_features", out, [&] { inner_.fourier_features(t, z, out); });
  }
  void fourier_features_vjp(const Tensor& g, const Tensor& y, const Tensor& out) override {
    around_("fourier_features_vjp", out, [&] { inner_.fourier_features_vjp(g, y, out); });
  }
  /// gated_linear is not passed on: the observer is shown its parts, as on a device without it.
  void gated_sum(const Tensor& y, const Tensor& b, const Tensor& c, const Unary* activation,
                 const Tensor& out) override {
    around_("gated_sum", out, [&] { inner_.gated_sum(y, b, c, activation, out); });
  }
  void gemm(const Tensor& a, const Tensor& b, const Epilogue& epilogue, const Tensor& out) override {
    around_("gemm", out, [&] { inner_.gemm(a, b, epilogue, out); });
  }
  void conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Epilogue& epilogue,
              const Tensor& out) override {
    around_("conv2d", out, [&] { inner_.conv2d(s, x, filter, epilogue, out); });
  }
  void conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Epilogue& epilogue,
                     const Tensor& out) override {
    around_("conv2d_grad_x", out, [&] { inner_.conv2d_grad_x(s, g, filter, epilogue, out); });
  }
  void conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x, const Tensor& out) override {
    around_("conv2d_grad_w", out, [&] { inner_.conv2d_grad_w(s, g, x, out); });
  }
  void hold_products(Products products) override { inner_.hold_products(products); }
  void release_products() override { inner_.release_products(); }
  void normal(const RandomSlice& slice, const Tensor& out) override {
    around_("normal", out, [&] { inner_.normal(slice, out); });
  }
  void uniform(const RandomSlice& slice, const Tensor& out) override {
    around_("uniform", out, [&] { inner_.uniform(slice, out); });
  }
  void advance(const Tensor& state, std::uint64_t blocks) override {
    around_("advance", state, [&] { inner_.advance(state, blocks); });
  }
  void noisy_update(const Tensor& z, const Tensor& g, const UpdateScales& scales,
                    const RandomSlice* noise) override {
    around_("noisy_update", z, [&] { inner_.noisy_update(z, g, scales, noise); });
  }
  void adam(std::span<const AdamTensors> tensors, const AdamStep& step) override {
    around_("adam", tensors.front().param, [&] { inner_.adam(tensors, step); });
  }
  void adam_tick(const Tensor& schedule, double beta1, double beta2, const Tensor* watch) override {
    around_("adam_tick", schedule, [&] { inner_.adam_tick(schedule, beta1, beta2, watch); });
  }
  void watch(const Tensor& value, std::int64_t code, const Tensor& state) override {
    around_("watch", state, [&] { inner_.watch(value, code, state); });
  }
  void lerp(std::span<const LerpTensors> tensors, double rate, const Tensor* watch) override {
    around_("lerp", tensors.front().target, [&] { inner_.lerp(tensors, rate, watch); });
  }

 private:
  Backend& inner_;
  Around around_;
};

/// Whether DAMC_TRACE asks for a trace.
bool trace_requested();

/// Owns `inner` and prints a line per kernel to stderr.
std::unique_ptr<Backend> make_trace_backend(std::unique_ptr<Backend> inner);

}  // namespace damc
