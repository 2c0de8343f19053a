/// SharedKernels<Executor>: every kernel that does not differ by device, written once over an executor's
/// loops.
///
/// An executor has  for_each(n, body)  body(i);  for_rows(rows, cols, body)  body.row(r)(c);  for_blocks(n, body)  the
/// same of n elements in rows of kBlockNumbers, as noise comes;
/// and  reduce<T>(outer, reduced, inner, body, out)  out[o, i] = sum over r of body.load(o, r, i);  and over
/// several tensors at once (tensor_list.h)  for_pieces(tensors, body)  body.row(t)(c);  and
/// sum_pieces<T>(tensors, body, out)  out[0] = sum over t and c of body.load(t, c, 0).
#pragma once

#include <algorithm>
#include <utility>

#include "tensor/backend.h"
#include "tensor/kernels/fused_bodies.h"
#include "tensor/kernels/pool_bodies.h"
#include "tensor/kernels/update_bodies.h"

namespace damc {

template <class Executor>
class SharedKernels : public Backend {
 public:
  void fill(double value, const Tensor& out) override {
    const auto run = [&]<class T>(T) {
      const auto walk = strided_rows<1>({&out});
      const T number = static_cast<T>(value);
      if (walk.inner_stride[0] == 1) {
        exec_.for_rows(walk.rows, walk.cols, FillBody<T, 1>{walk, number, out.data<T>()});
      } else {
        exec_.for_rows(walk.rows, walk.cols, FillBody<T, kAnyStride>{walk, number, out.data<T>()});
      }
    };
    if (out.dtype() == Dtype::i64) {
      run(std::int64_t{});
    } else {
      dispatch_stored(out.dtype(), run);
    }
  }

  void copy(const Tensor& in, const Tensor& out) override {
    if (in.dtype() == Dtype::i64) {
      map<std::int64_t, std::int64_t>(functor::identity<std::int64_t>{}, in, out);
      return;
    }
    dispatch_stored(in.dtype(), [&]<class From>(From) {
      dispatch_stored(out.dtype(), [&]<class To>(To) { map<To, From>(functor::identity<From>{}, in, out); });
    });
  }

  void unary(const Unary& f, const Tensor& x, const Tensor& out) override {
    dispatch_float(out.dtype(), [&]<class T>(T) {
      dispatch_unary<T>(f, [&](auto functor) { map<T, T>(functor, x, out); });
    });
  }

  void unary_vjp(const Unary& f, const Tensor& g, const Tensor& x, const Tensor& y,
                 const Tensor& out) override {
    dispatch_stored(out.dtype(), [&]<class T>(T) {
      dispatch_differentiated<T>(f, [&](auto functor) {
        using F = decltype(functor);
        const auto walk = strided_rows<2>({&g, &out});
        const auto run = [&]<int SG>() {
          exec_.for_rows(
              walk.rows, walk.cols,
              UnaryVjpBody<T, F, SG>{walk, g.data<T>(), x.data<T>(), y.data<T>(), out.data<T>(), functor});
        };
        if (walk.inner_stride[0] == 1) {
          run.template operator()<1>();
        } else {
          run.template operator()<kAnyStride>();
        }
      });
    });
  }

  void binary(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& out) override {
    dispatch_float(out.dtype(), [&]<class T>(T) {
      dispatch_binary<T>(op, [&](auto f) {
        using F = decltype(f);
        const auto walk = strided_rows<3>({&a, &b, &out});
        const auto run = [&]<int SA, int SB, int SO>() {
          exec_.for_rows(walk.rows, walk.cols,
                         BinaryBody<T, F, SA, SB, SO>{walk, a.data<T>(), b.data<T>(), out.data<T>(), f});
        };
        const std::int64_t sa = walk.inner_stride[0], sb = walk.inner_stride[1];
        if (walk.inner_stride[2] == 1 && sa == 1 && sb == 1) {
          run.template operator()<1, 1, 1>();
        } else if (walk.inner_stride[2] == 1 && sa == 1 && sb == 0) {
          run.template operator()<1, 0, 1>();
        } else if (walk.inner_stride[2] == 1 && sa == 0 && sb == 1) {
          run.template operator()<0, 1, 1>();
        } else {
          run.template operator()<kAnyStride, kAnyStride, kAnyStride>();
        }
      });
    });
  }

  void sum(const Tensor& x, const Tensor& out) override {
    with_terms(x, [&]<class T, bool kRun>(SumBody<T, kRun> terms) {
      exec_.template reduce<Computed<T>>(x.size(0), x.size(1), x.size(2), terms, out.data<Computed<T>>());
    });
  }

  void sum_squares(std::span<const Tensor> xs, const Tensor& out) override {
    dispatch_float(out.dtype(), [&]<class T>(T) {
      TensorList tensors;
      SquareBody<T> body{};
      for (std::size_t i = 0; i < xs.size(); ++i) {
        tensors.add(xs[i].numel());
        body.x[i] = xs[i].data<T>();
      }
      exec_.template sum_pieces<T>(tensors, body, out.data<T>());
    });
  }

  void pool2d(const Pooling& pooling, const Tensor& x, const Tensor& out) override {
    const ConvGeometry& s = pooling.windows;
    dispatch_pooling(pooling, x, [&]<class T, PoolOp kOp>() {
      exec_.for_rows(s.n * s.out_h * s.out_w, s.in_c, PoolBody<T, kOp>{pooling, x.data<T>(), out.data<T>()});
    });
  }

  void pool2d_grad_x(const Pooling& pooling, const Tensor& g, const Tensor& x, const Tensor& y,
                     const Tensor& out) override {
    const ConvGeometry& s = pooling.windows;
    dispatch_pooling(pooling, g, [&]<class T, PoolOp kOp>() {
      exec_.for_rows(
          s.n * s.in_h * s.in_w, s.in_c,
          PoolGradBody<T, kOp>{pooling, g.data<T>(), data_or_null<T>(x), data_or_null<T>(y), out.data<T>()});
    });
  }

  void pool2d_select(const Pooling& pooling, const Tensor& x, const Tensor& from,
                     const Tensor& out) override {
    const ConvGeometry& s = pooling.windows;
    dispatch_float(x.dtype(), [&]<class T>(T) {
      exec_.for_rows(s.n * s.out_h * s.out_w, s.in_c,
                     PoolSelectBody<T>{pooling, x.data<T>(), from.data<T>(), out.data<T>()});
    });
  }

  void instance_norm_stats(const Tensor& x, double eps, const Tensor& mean, const Tensor& rstd) override {
    dispatch_stored(x.dtype(), [&]<class S>(S) {
      using T = Computed<S>;
      const std::int64_t n = x.size(0), pixels = x.size(1), channels = x.size(2);
      const T per_pixel = T(1) / static_cast<T>(pixels);
      exec_.template reduce<T>(n, pixels, channels, SumBody<S>{x.data<S>(), pixels, channels},
                               mean.data<T>());
      exec_.for_each(n * channels, ScaleBody<T>{mean.data<T>(), per_pixel});
      exec_.template reduce<T>(n, pixels, channels,
                               CentredSquareBody<S>{x.data<S>(), mean.data<T>(), pixels, channels},
                               rstd.data<T>());
      exec_.for_each(n * channels, RstdBody<T>{rstd.data<T>(), per_pixel, static_cast<T>(eps)});
    });
  }

  void instance_norm(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& w,
                     const Tensor& b, const Unary& activation, const Tensor& out) override {
    dispatch_stored(x.dtype(), [&]<class S>(S) {
      using T = Computed<S>;
      dispatch_fused<T>(activation, [&](auto f) {
        using F = decltype(f);
        exec_.for_rows(x.size(0) * x.size(1), x.size(2),
                       InstanceNormBody<S, F>{x.data<S>(), mean.data<T>(), rstd.data<T>(), w.data<T>(),
                                              b.data<T>(), out.data<S>(), x.size(1), x.size(2), f});
      });
    });
  }

  void instance_norm_sums(const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                          const Tensor& sum_g, const Tensor& sum_gx) override {
    dispatch_stored(x.dtype(), [&]<class S>(S) {
      using T = Computed<S>;
      const std::int64_t n = x.size(0), pixels = x.size(1), channels = x.size(2);
      exec_.template reduce<T>(n, pixels, channels, SumBody<S>{g.data<S>(), pixels, channels},
                               sum_g.data<T>());
      exec_.template reduce<T>(
          n, pixels, channels,
          NormProductBody<S>{g.data<S>(), x.data<S>(), mean.data<T>(), rstd.data<T>(), pixels, channels},
          sum_gx.data<T>());
    });
  }

  void instance_norm_grad_x(const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                            const Tensor& w, const Tensor& sum_g, const Tensor& sum_gx,
                            const Tensor& out) override {
    dispatch_stored(x.dtype(), [&]<class S>(S) {
      using T = Computed<S>;
      exec_.for_rows(
          x.size(0) * x.size(1), x.size(2),
          InstanceNormGradBody<S>{g.data<S>(), x.data<S>(), mean.data<T>(), rstd.data<T>(), w.data<T>(),
                                  sum_g.data<T>(), sum_gx.data<T>(), out.data<S>(), x.size(1), x.size(2)});
    });
  }

  void fourier_features(const Tensor& t, const Tensor& z, const Tensor& out) override {
    dispatch_float(t.dtype(), [&]<class T>(T) {
      exec_.for_rows(t.size(0), t.size(1) + z.size(1),
                     FourierBody<T>{t.data<T>(), z.data<T>(), out.data<T>(), t.size(1), z.size(1)});
    });
  }

  void fourier_features_vjp(const Tensor& g, const Tensor& y, const Tensor& out) override {
    dispatch_float(g.dtype(), [&]<class T>(T) {
      exec_.for_rows(out.size(0), out.size(1),
                     FourierVjpBody<T>{g.data<T>(), y.data<T>(), out.data<T>(), out.size(1), g.size(1)});
    });
  }

  void gated_sum(const Tensor& y, const Tensor& b, const Tensor& c, const Unary& activation,
                 const Tensor& out) override {
    dispatch_float(y.dtype(), [&]<class T>(T) {
      dispatch_fused<T>(activation, [&](auto f) {
        exec_.for_rows(out.size(0), out.size(1), gated_sum_body<T>(y.data<T>(), b, c, out, f));
      });
    });
  }

  void normal(const RandomSlice& slice, const Tensor& out) override { draw<true>(slice, out); }
  void uniform(const RandomSlice& slice, const Tensor& out) override { draw<false>(slice, out); }

  void advance(const Tensor& state, std::uint64_t blocks) override {
    exec_.for_each(1, AdvanceBody{state.data<std::int64_t>(), static_cast<std::int64_t>(blocks)});
  }

  void noisy_update(const Tensor& z, const Tensor& g, const UpdateScales& scales,
                    const RandomSlice& noise) override {
    dispatch_float(z.dtype(), [&]<class T>(T) {
      const auto update = [&]<bool kNoisy>(RandomPointer random) {
        exec_.for_blocks(z.numel(), NoisyUpdateBody<T, kNoisy>{
                                        z.data<T>(), g.data<T>(), static_cast<T>(scales.z),
                                        static_cast<T>(scales.g), static_cast<T>(scales.w), random});
      };
      if (noise.state.defined()) {
        update.template operator()<true>(pointer(noise));
      } else {
        update.template operator()<false>({});
      }
    });
  }

  void adam(std::span<const AdamTensors> tensors, const AdamStep& step) override {
    if (tensors.empty()) return;
    dispatch_float(tensors[0].param.dtype(), [&]<class T>(T) {
      const AdamBody<T> body{{},
                             step.schedule.data<double>(),
                             data_or_null<T>(step.grad_norm),
                             step.max_norm,
                             step.beta1,
                             step.beta2,
                             step.eps,
                             step.weight_decay,
                             data_or_null<std::int64_t>(step.watch)};
      for_tensors(tensors, body, [](const AdamTensors& t) {
        return std::pair{t.param.numel(), typename AdamBody<T>::Pointers{t.param.data<T>(), t.grad.data<T>(),
                                                                         t.m.data<T>(), t.v.data<T>()}};
      });
    });
  }

  void adam_tick(const Tensor& schedule, double beta1, double beta2, const Tensor& watch) override {
    exec_.for_each(1, AdamTickBody{schedule.data<double>(), beta1, beta2, data_or_null<std::int64_t>(watch)});
  }

  void watch(const Tensor& value, std::int64_t code, const Tensor& state) override {
    dispatch_float(value.dtype(), [&]<class T>(T) {
      exec_.for_each(1, WatchBody<T>{value.data<T>(), code, state.data<std::int64_t>()});
    });
  }

  void lerp(std::span<const LerpTensors> tensors, double rate, const Tensor& watch) override {
    if (tensors.empty()) return;
    dispatch_float(tensors[0].target.dtype(), [&]<class T>(T) {
      const LerpBody<T> body{{}, static_cast<T>(rate), data_or_null<std::int64_t>(watch)};
      for_tensors(tensors, body, [](const LerpTensors& t) {
        return std::pair{t.target.numel(),
                         typename LerpBody<T>::Pointers{t.target.data<T>(), t.source.data<T>()}};
      });
    });
  }

 protected:
  /// y = act(y + bias) over rows of `channels`; nothing to do without either.
  template <class T>
  void finish_rows(const Tensor& bias, const Unary& activation, T* y, std::int64_t rows,
                   std::int64_t channels) {
    if (!bias.defined() && activation.op == UnaryOp::identity) return;
    dispatch_fused<Computed<T>>(activation, [&](auto f) {
      using F = decltype(f);
      if (bias.defined()) {
        exec_.for_rows(rows, channels, EpilogueBody<T, F>{y, bias.data<Computed<T>>(), channels, f});
      } else {
        exec_.for_rows(1, rows * channels, UnaryBody<T, T, F, 1, 1>{{}, y, y, f});
      }
    });
  }
  /// out = act(out + bias): what is left to do of a product without fused kernels.
  void finish(const Tensor& bias, const Unary& activation, const Tensor& out) {
    if (out.numel() == 0) return;
    dispatch_stored(out.dtype(), [&]<class T>(T) {
      finish_rows<T>(bias, activation, out.data<T>(), out.numel() / out.size(-1), out.size(-1));
    });
  }

  /// The elements; null where there are none to have.
  template <class T>
  static T* data_or_null(const Tensor& t) {
    return t.defined() ? t.data<T>() : nullptr;
  }

  template <class T, class F>
  static GatedSumBody<T, F> gated_sum_body(const T* y, const Tensor& b, const Tensor& c, const Tensor& out,
                                           F activation) {
    return {y,
            b.data<T>(),
            c.data<T>(),
            out.data<T>(),
            out.size(1),
            c.size(0) == 1 ? 0 : c.size(1),
            out.strides()[0],
            activation};
  }

  /// out = f(in), converted
  template <class To, class From, class F>
  void map(F f, const Tensor& in, const Tensor& out) {
    const auto walk = strided_rows<2>({&in, &out});
    const auto run = [&]<int SX, int SO>() {
      exec_.for_rows(walk.rows, walk.cols,
                     UnaryBody<To, From, F, SX, SO>{walk, in.data<From>(), out.data<To>(), f});
    };
    if (walk.inner_stride[0] == 1 && walk.inner_stride[1] == 1) {
      run.template operator()<1, 1>();
    } else {
      run.template operator()<kAnyStride, kAnyStride>();
    }
  }

  Executor exec_;

 private:
  /// Calls f(functor) for a function whose gradient is stored as T; in bf16 these are fused activations.
  template <class T, class F>
  static void dispatch_differentiated(const Unary& unary, F&& f) {
    if constexpr (std::is_same_v<T, bf16>) {
      if (!fuses(unary)) refuse_dtype(Dtype::bf16);
      dispatch_fused<float>(unary, std::forward<F>(f));
    } else {
      dispatch_unary<T>(unary, std::forward<F>(f));
    }
  }

  /// Calls f.operator()<T, op>() for the type of a tensor and the kind of a pooling.
  template <class F>
  static void dispatch_pooling(const Pooling& pooling, const Tensor& t, const F& f) {
    dispatch_float(t.dtype(), [&]<class T>(T) {
      if (pooling.op == PoolOp::max) {
        f.template operator()<T, PoolOp::max>();
      } else {
        f.template operator()<T, PoolOp::mean>();
      }
    });
  }

  static RandomPointer pointer(const RandomSlice& slice) {
    return {slice.state.data<std::int64_t>(), slice.stream, slice.delta};
  }

  /// A loop over several tensors, or as many as these need: body.tensors takes the pointers of each; describe(t) gives
  /// a tensor's length and pointers.
  template <class Tensors, class Body, class F>
  void for_tensors(std::span<const Tensors> tensors, Body body, const F& describe) {
    constexpr std::size_t most = kMostTensors;
    for (; !tensors.empty(); tensors = tensors.subspan(std::min(most, tensors.size()))) {
      TensorList list;
      for (std::size_t i = 0; i < std::min(most, tensors.size()); ++i) {
        const auto [length, pointers] = describe(tensors[i]);
        list.add(length);
        body.tensors[i] = pointers;
      }
      exec_.for_pieces(list, body);
    }
  }

  /// Calls f with the terms of a sum over x [outer, reduced, inner].
  template <class F>
  static void with_terms(const Tensor& x, const F& f) {
    dispatch_stored(x.dtype(), [&]<class T>(T) {
      if (x.size(2) == 1) {
        f(SumBody<T, true>{x.data<T>(), x.size(1), 1});
      } else {
        f(SumBody<T>{x.data<T>(), x.size(1), x.size(2)});
      }
    });
  }

  template <bool kNormal>
  void draw(const RandomSlice& slice, const Tensor& out) {
    dispatch_float(out.dtype(), [&]<class T>(T) {
      exec_.for_blocks(out.numel(), RandomBody<T, kNormal>{pointer(slice), out.data<T>()});
    });
  }
};

}  // namespace damc
