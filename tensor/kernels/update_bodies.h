/// Loop bodies of noise and of updates in place: Philox draws, steps of chains, Adam, averages; see bodies.h.
#pragma once

#include <cmath>

#include "tensor/kernels/bodies.h"
#include "tensor/kernels/philox.h"

namespace damc {

/// A random slice as kernels read it.
struct RandomPointer {
  const std::int64_t* state;
  std::uint64_t stream, delta;

  DAMC_HD Philox4u block(std::int64_t k) const {
    return philox(static_cast<std::uint64_t>(state[0]), stream,
                  static_cast<std::uint64_t>(state[1]) + delta + static_cast<std::uint64_t>(k));
  }
};

/// Elements 4k .. 4k+3 of a stream of uniform or normal numbers.
template <class T, bool kNormal>
struct RandomBody {
  RandomPointer random;
  T* out;

  struct Row {
    Philox4f values;
    T* out;
    DAMC_HD void operator()(std::int64_t j) const { out[j] = static_cast<T>(values.at(j)); }
    static constexpr int kPack = kBlockNumbers;
    template <class Visit>
    DAMC_HD void operands(Visit& visit) {
      visit.write(out);
    }
  };
  DAMC_HD Row row(std::int64_t k) const {
    const Philox4u bits = random.block(k);
    return {kNormal ? normal4(bits) : uniform4(bits), out + kBlockNumbers * k};
  }
};

/// z <- z_scale z + g_scale g + w_scale w for elements 4k .. 4k+3
template <class T, bool kNoisy>
struct NoisyUpdateBody {
  T* z;
  const T* g;
  T z_scale, g_scale, w_scale;
  RandomPointer random;

  struct Row {
    T* z;
    const T* g;
    T z_scale, g_scale, w_scale;
    Philox4f w;
    DAMC_HD void operator()(std::int64_t j) const {
      z[j] = z_scale * z[j] + g_scale * g[j] + w_scale * static_cast<T>(w.at(j));
    }
    static constexpr int kPack = kBlockNumbers;
    template <class Visit>
    DAMC_HD void operands(Visit& visit) {
      visit.update(z);
      visit.read(g);
    }
  };
  DAMC_HD Row row(std::int64_t k) const {
    const std::int64_t first = kBlockNumbers * k;
    return {z + first, g + first, z_scale, g_scale, w_scale, noise(k)};
  }
  DAMC_HD Philox4f noise(std::int64_t k) const {
    if constexpr (kNoisy) {
      return normal4(random.block(k));
    } else {
      return {};
    }
  }
};

/// Notes the first number that is not finite; see Backend::watch.
template <class T>
struct WatchBody {
  const T* value;
  std::int64_t code;
  std::int64_t* state;
  DAMC_HD void operator()(std::int64_t) const {
    const T x = *value;
    if (state[1] >= 0 || x - x == T(0)) return;
    state[1] = state[0];
    state[2] = 2 * code + (x != x);
  }
};

DAMC_HD inline bool watch_has_fired(const std::int64_t* state) { return state && state[1] >= 0; }

/// Adam / AdamW for several tensors; the constants of the step are worked out once per row, a piece of a tensor.
template <class T>
struct AdamBody {
  struct Pointers {
    T* param;
    const T* grad;
    T* m;
    T* v;
  };
  Pointers tensors[kMostTensors];
  const double* schedule;
  const T* grad_norm;
  double max_norm, beta1, beta2, eps, weight_decay;
  const std::int64_t* watch;  ///< null: none

  struct Row {
    T* param;
    const T* grad;
    T* m;
    T* v;
    T clip, beta1, beta2, step, root, eps, keep;
    T rise1, rise2;  // 1 - beta, taken in f64, as the schedule takes it
    bool stopped;
    DAMC_HD void operator()(std::int64_t c) const {
      if (stopped) return;
      const T g = grad[c] * clip;
      m[c] = beta1 * m[c] + rise1 * g;
      v[c] = beta2 * v[c] + rise2 * g * g;
      param[c] = param[c] * keep - step * m[c] / (std::sqrt(v[c]) * root + eps);
    }
    static constexpr int kPack = kPackElements<T>;
    template <class Visit>
    DAMC_HD void operands(Visit& visit) {
      visit.update(param);
      visit.read(grad);
      visit.update(m, v);
    }
  };
  DAMC_HD Row row(int i) const {
    double clip = 1.0;
    if (grad_norm) {
      const double wanted = max_norm / (static_cast<double>(*grad_norm) + 1e-6);
      clip = wanted >= 1.0 ? 1.0 : wanted;  // NaN of a norm that is
    }
    const double lr = schedule[0];
    const Pointers& tensor = tensors[i];
    return {tensor.param,
            tensor.grad,
            tensor.m,
            tensor.v,
            static_cast<T>(clip),
            static_cast<T>(beta1),
            static_cast<T>(beta2),
            static_cast<T>(lr / (1.0 - schedule[1])),
            static_cast<T>(1.0 / std::sqrt(1.0 - schedule[2])),
            static_cast<T>(eps),
            static_cast<T>(1.0 - lr * weight_decay),
            static_cast<T>(1.0 - beta1),
            static_cast<T>(1.0 - beta2),
            watch_has_fired(watch)};
  }
};

/// target <- (1 - rate) target + rate source, for several tensors; with a rate of 1 the source itself
template <class T>
struct LerpBody {
  struct Pointers {
    T* target;
    const T* source;
  };
  Pointers tensors[kMostTensors];
  T rate;
  const std::int64_t* watch;  ///< null: none

  struct Row {
    T* target;
    const T* source;
    T rate;
    bool stopped;
    DAMC_HD void operator()(std::int64_t c) const {
      if (stopped) return;
      const T way = source[c] - target[c];
      target[c] = rate < T(0.5) ? target[c] + rate * way : source[c] - (T(1) - rate) * way;
    }
    static constexpr int kPack = kPackElements<T>;
    template <class Visit>
    DAMC_HD void operands(Visit& visit) {
      visit.update(target);
      visit.read(source);
    }
  };
  DAMC_HD Row row(int i) const {
    return {tensors[i].target, tensors[i].source, rate, watch_has_fired(watch)};
  }
};

/// One-element bookkeeping on the device.
struct AdamTickBody {
  double* schedule;
  double beta1, beta2;
  const std::int64_t* watch;  ///< null: none
  DAMC_HD void operator()(std::int64_t) const {
    if (watch_has_fired(watch)) return;
    schedule[1] *= beta1;
    schedule[2] *= beta2;
  }
};

struct AdvanceBody {
  std::int64_t* state;
  std::int64_t blocks;
  DAMC_HD void operator()(std::int64_t) const { state[1] += blocks; }
};

}  // namespace damc
