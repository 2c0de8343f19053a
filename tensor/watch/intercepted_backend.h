/// A backend that turns every kernel into one call, as data: whoever watches, checks, counts or records kernels
/// says what becomes of a call (intercept) and lists no kernel of its own.
#pragma once

#include <functional>
#include <vector>

#include "tensor/backend.h"

namespace damc {

/// Tensors of a call; undefined where it does without.
using Operands = std::vector<Tensor>;

struct KernelCall {
  const char* kernel;
  Operands reads, writes;       ///< what is updated in place is in both
  std::vector<double> numbers;  ///< its arguments that are no tensors
  std::int64_t macs;            ///< multiply-adds of a product
  /// Runs it, on these or on other tensors of the same shapes.
  std::function<void(Backend& on, const Operands& reads, const Operands& writes)> run;

  void operator()(Backend& on) const { run(on, reads, writes); }
};

class InterceptedBackend : public Backend {
 public:
  void fill(double value, const Tensor& out) override {
    intercept({"fill", {}, {out}, {value}, 0, [=](auto& on, auto&, auto& w) { on.fill(value, w[0]); }});
  }
  void copy(const Tensor& in, const Tensor& out) override {
    intercept({"copy", {in}, {out}, {}, 0, [](auto& on, auto& r, auto& w) { on.copy(r[0], w[0]); }});
  }
  void unary(const Unary& f, const Tensor& x, const Tensor& out) override {
    intercept(
        {"unary", {x}, {out}, numbers(f), 0, [=](auto& on, auto& r, auto& w) { on.unary(f, r[0], w[0]); }});
  }
  void unary_vjp(const Unary& f, const Tensor& g, const Tensor& x, const Tensor& y,
                 const Tensor& out) override {
    intercept({"unary_vjp", {g, x, y}, {out}, numbers(f), 0, [=](auto& on, auto& r, auto& w) {
                 on.unary_vjp(f, r[0], r[1], r[2], w[0]);
               }});
  }
  void binary(BinaryOp f, const Tensor& a, const Tensor& b, const Tensor& out) override {
    intercept({"binary", {a, b}, {out}, {static_cast<double>(f)}, 0, [=](auto& on, auto& r, auto& w) {
                 on.binary(f, r[0], r[1], w[0]);
               }});
  }
  void sum(const Tensor& x, const Tensor& out) override {
    intercept({"sum", {x}, {out}, {}, 0, [](auto& on, auto& r, auto& w) { on.sum(r[0], w[0]); }});
  }
  void sum_squares(std::span<const Tensor> xs, const Tensor& out) override {
    intercept({"sum_squares", {xs.begin(), xs.end()}, {out}, {}, 0, [](auto& on, auto& r, auto& w) {
                 on.sum_squares(r, w[0]);
               }});
  }
  void pool2d(const Pooling& pooling, const Tensor& x, const Tensor& out) override {
    intercept({"pool2d", {x}, {out}, numbers(pooling), 0, [=](auto& on, auto& r, auto& w) {
                 on.pool2d(pooling, r[0], w[0]);
               }});
  }
  void pool2d_grad_x(const Pooling& pooling, const Tensor& g, const Tensor& x, const Tensor& y,
                     const Tensor& out) override {
    intercept({"pool2d_grad_x", {g, x, y}, {out}, numbers(pooling), 0, [=](auto& on, auto& r, auto& w) {
                 on.pool2d_grad_x(pooling, r[0], r[1], r[2], w[0]);
               }});
  }
  void pool2d_select(const Pooling& pooling, const Tensor& x, const Tensor& from,
                     const Tensor& out) override {
    intercept({"pool2d_select", {x, from}, {out}, numbers(pooling), 0, [=](auto& on, auto& r, auto& w) {
                 on.pool2d_select(pooling, r[0], r[1], w[0]);
               }});
  }
  void instance_norm_stats(const Tensor& x, double eps, const Tensor& mean, const Tensor& rstd) override {
    intercept({"instance_norm_stats", {x}, {mean, rstd}, {eps}, 0, [=](auto& on, auto& r, auto& w) {
                 on.instance_norm_stats(r[0], eps, w[0], w[1]);
               }});
  }
  void instance_norm(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& weight,
                     const Tensor& b, const Unary& activation, const Tensor& out) override {
    intercept({"instance_norm",
               {x, mean, rstd, weight, b},
               {out},
               numbers(activation),
               0,
               [=](auto& on, auto& r, auto& w) {
                 on.instance_norm(r[0], r[1], r[2], r[3], r[4], activation, w[0]);
               }});
  }
  void instance_norm_sums(const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                          const Tensor& sum_g, const Tensor& sum_gx) override {
    intercept(
        {"instance_norm_sums", {g, x, mean, rstd}, {sum_g, sum_gx}, {}, 0, [](auto& on, auto& r, auto& w) {
           on.instance_norm_sums(r[0], r[1], r[2], r[3], w[0], w[1]);
         }});
  }
  void instance_norm_grad_x(const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                            const Tensor& weight, const Tensor& sum_g, const Tensor& sum_gx,
                            const Tensor& out) override {
    intercept({"instance_norm_grad_x",
               {g, x, mean, rstd, weight, sum_g, sum_gx},
               {out},
               {},
               0,
               [](auto& on, auto& r, auto& w) {
                 on.instance_norm_grad_x(r[0], r[1], r[2], r[3], r[4], r[5], r[6], w[0]);
               }});
  }
  void fourier_features(const Tensor& t, const Tensor& z, const Tensor& out) override {
    intercept({"fourier_features", {t, z}, {out}, {}, 0, [](auto& on, auto& r, auto& w) {
                 on.fourier_features(r[0], r[1], w[0]);
               }});
  }
  void fourier_features_vjp(const Tensor& g, const Tensor& y, const Tensor& out) override {
    intercept({"fourier_features_vjp", {g, y}, {out}, {}, 0, [](auto& on, auto& r, auto& w) {
                 on.fourier_features_vjp(r[0], r[1], w[0]);
               }});
  }
  void gated_sum(const Tensor& y, const Tensor& b, const Tensor& c, const Unary& activation,
                 const Tensor& out) override {
    intercept({"gated_sum", {y, b, c}, {out}, numbers(activation), 0, [=](auto& on, auto& r, auto& w) {
                 on.gated_sum(r[0], r[1], r[2], activation, w[0]);
               }});
  }
  void gemm(const Tensor& a, const Tensor& b, const Tensor& bias, const ProductOptions& options,
            const Tensor& out) override {
    intercept({"gemm",
               {a, b, bias},
               {out},
               numbers(options),
               out.numel() * a.size(-1),
               [=](auto& on, auto& r, auto& w) { on.gemm(r[0], r[1], r[2], options, w[0]); }});
  }
  void conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Tensor& bias,
              const ProductOptions& options, const Tensor& out) override {
    intercept(
        {"conv2d", {x, filter, bias}, {out}, numbers(s, options), s.macs(), [=](auto& on, auto& r, auto& w) {
           on.conv2d(s, r[0], r[1], r[2], options, w[0]);
         }});
  }
  void conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Tensor& bias,
                     const ProductOptions& options, const Tensor& out) override {
    intercept({"conv2d_grad_x",
               {g, filter, bias},
               {out},
               numbers(s, options),
               s.macs(),
               [=](auto& on, auto& r, auto& w) { on.conv2d_grad_x(s, r[0], r[1], r[2], options, w[0]); }});
  }
  void conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x, MatmulPrecision precision,
                     const Tensor& out) override {
    intercept({"conv2d_grad_w",
               {g, x},
               {out},
               numbers(s, {{}, precision}),
               s.macs(),
               [=](auto& on, auto& r, auto& w) { on.conv2d_grad_w(s, r[0], r[1], precision, w[0]); }});
  }
  void normal(const RandomSlice& slice, const Tensor& out) override {
    intercept({"normal",
               {slice.state},
               {out},
               numbers(slice),
               0,
               [stream = slice.stream, delta = slice.delta](auto& on, auto& r, auto& w) {
                 on.normal({r[0], stream, delta}, w[0]);
               }});
  }
  void uniform(const RandomSlice& slice, const Tensor& out) override {
    intercept({"uniform",
               {slice.state},
               {out},
               numbers(slice),
               0,
               [stream = slice.stream, delta = slice.delta](auto& on, auto& r, auto& w) {
                 on.uniform({r[0], stream, delta}, w[0]);
               }});
  }
  void advance(const Tensor& state, std::uint64_t blocks) override {
    intercept({"advance", {state}, {state}, {static_cast<double>(blocks)}, 0, [=](auto& on, auto&, auto& w) {
                 on.advance(w[0], blocks);
               }});
  }
  void noisy_update(const Tensor& z, const Tensor& g, const UpdateScales& scales,
                    const RandomSlice& noise) override {
    intercept(
        {"noisy_update",
         {z, g, noise.state},
         {z},
         {scales.z, scales.g, scales.w, static_cast<double>(noise.stream), static_cast<double>(noise.delta)},
         0,
         [scales, stream = noise.stream, delta = noise.delta](auto& on, auto& r, auto& w) {
           on.noisy_update(w[0], r[1], scales, {r[2], stream, delta});
         }});
  }
  void adam(std::span<const AdamTensors> tensors, const AdamStep& step) override {
    KernelCall call{"adam", {step.schedule, step.grad_norm, step.watch},
                    {},     {step.max_norm, step.beta1, step.beta2, step.eps, step.weight_decay},
                    0,      {}};
    for (const AdamTensors& t : tensors) {
      call.reads.insert(call.reads.end(), {t.param, t.grad, t.m, t.v});
      call.writes.insert(call.writes.end(), {t.param, t.m, t.v});
    }
    call.run = [numbers = call.numbers](auto& on, auto& r, auto& w) {
      std::vector<AdamTensors> all;
      for (std::size_t i = 0; 3 * i < w.size(); ++i)
        all.push_back({w[3 * i], r[4 * i + 4], w[3 * i + 1], w[3 * i + 2]});
      on.adam(all, {r[0], r[1], numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], r[2]});
    };
    intercept(call);
  }
  void adam_tick(const Tensor& schedule, double beta1, double beta2, const Tensor& watch) override {
    intercept(
        {"adam_tick", {schedule, watch}, {schedule}, {beta1, beta2}, 0, [=](auto& on, auto& r, auto& w) {
           on.adam_tick(w[0], beta1, beta2, r[1]);
         }});
  }
  void watch(const Tensor& seen, std::int64_t code, const Tensor& state) override {
    intercept(
        {"watch", {seen, state}, {state}, {static_cast<double>(code)}, 0, [=](auto& on, auto& r, auto& w) {
           on.watch(r[0], code, w[0]);
         }});
  }
  void lerp(std::span<const LerpTensors> tensors, double rate, const Tensor& watch) override {
    KernelCall call{"lerp", {watch}, {}, {rate}, 0, {}};
    for (const LerpTensors& t : tensors) {
      call.reads.insert(call.reads.end(), {t.target, t.source});
      call.writes.push_back(t.target);
    }
    call.run = [rate](auto& on, auto& r, auto& w) {
      std::vector<LerpTensors> all;
      for (std::size_t i = 0; i < w.size(); ++i) all.push_back({w[i], r[2 * i + 2]});
      on.lerp(all, rate, r[0]);
    };
    intercept(call);
  }

 private:
  virtual void intercept(const KernelCall& call) = 0;

  static std::vector<double> numbers(const Unary& f) { return {static_cast<double>(f.op), f.p0, f.p1}; }
  static std::vector<double> numbers(const ProductOptions& o) {
    return {static_cast<double>(o.activation.op), o.activation.p0, o.activation.p1,
            static_cast<double>(o.precision)};
  }
  static std::vector<double> numbers(const RandomSlice& s) {
    return {static_cast<double>(s.stream), static_cast<double>(s.delta)};
  }
  static std::vector<double> numbers(const ConvGeometry& s, const ProductOptions& options) {
    std::vector<double> all = numbers(options);
    for (const std::int64_t n :
         {s.n, s.in_h, s.in_w, s.in_c, s.out_h, s.out_w, s.out_c, s.kernel_h, s.kernel_w, s.stride.h,
          s.stride.w, s.padding.h, s.padding.w, s.dilation.h, s.dilation.w, s.groups})
      all.push_back(static_cast<double>(n));
    return all;
  }
  static std::vector<double> numbers(const Pooling& p) {
    std::vector<double> all = numbers(p.windows, {});
    all.insert(all.end(), {static_cast<double>(p.op), static_cast<double>(p.count_include_pad)});
    return all;
  }
};

}  // namespace damc
