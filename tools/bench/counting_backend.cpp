#include "tools/bench/counting_backend.h"

#include <algorithm>
#include <cstring>

namespace damc {
namespace {

/// Bytes of a tensor's elements in memory: those that an expanded tensor repeats count once.
double bytes_of(const Tensor& t) {
  std::int64_t elements = 1;
  for (int d = 0; d < t.ndim(); ++d) {
    if (t.strides()[d] != 0 || t.shape()[d] == 0) elements *= t.shape()[d];
  }
  return static_cast<double>(elements) * static_cast<double>(size_of(t.dtype()));
}

bool same_elements(const Tensor& a, const Tensor& b) {
  return a.raw() == b.raw() && a.dtype() == b.dtype() && a.shape() == b.shape() && a.strides() == b.strides();
}

}  // namespace

void CountingBackend::count(const Operands& reads, const Operands& writes, std::int64_t macs) {
  work_.launches += 1;
  work_.flop += 2.0 * static_cast<double>(macs);
  for (const Operands* side : {&reads, &writes}) {
    for (auto t = side->begin(); t != side->end(); ++t) {
      const bool seen =
          *t && std::any_of(side->begin(), t, [&](const Tensor* u) { return u && same_elements(*u, **t); });
      if (*t && !seen) work_.bytes += bytes_of(**t);
    }
  }
}

void* CountingBackend::allocate(std::size_t bytes) {
  in_use_ += bytes;
  return reinterpret_cast<void*>(std::exchange(next_, next_ + bytes));
}

void CountingBackend::copy_bytes(void* to, const void*, std::size_t bytes, CopyKind kind) {
  if (kind == CopyKind::device_to_host && bytes > 0) std::memset(to, 0, bytes);
}

void CountingBackend::fill(double, const Tensor& out) { count({}, {&out}); }
void CountingBackend::copy(const Tensor& in, const Tensor& out) { count({&in}, {&out}); }
void CountingBackend::unary(const Unary&, const Tensor& x, const Tensor& out) { count({&x}, {&out}); }
void CountingBackend::unary_vjp(const Unary&, const Tensor& g, const Tensor& x, const Tensor& y,
                                const Tensor& out) {
  count({&g, &x, &y}, {&out});
}
void CountingBackend::binary(BinaryOp, const Tensor& a, const Tensor& b, const Tensor& out) {
  count({&a, &b}, {&out});
}
void CountingBackend::sum(const Tensor& x, const Tensor& out) { count({&x}, {&out}); }
void CountingBackend::sum_squares(std::span<const Tensor> xs, const Tensor& out) {
  Operands reads;
  for (const Tensor& x : xs) reads.push_back(&x);
  count(reads, {&out});
}
void CountingBackend::instance_norm_stats(const Tensor& x, double, const Tensor& mean, const Tensor& rstd) {
  count({&x}, {&mean, &rstd});
}
void CountingBackend::instance_norm(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& w,
                                    const Tensor& b, const Unary*, const Tensor& out) {
  count({&x, &mean, &rstd, &w, &b}, {&out});
}
void CountingBackend::instance_norm_sums(const Tensor& g, const Tensor& x, const Tensor& mean,
                                         const Tensor& rstd, const Tensor& sum_g, const Tensor& sum_gx) {
  count({&g, &x, &mean, &rstd}, {&sum_g, &sum_gx});
}
void CountingBackend::instance_norm_grad_x(const Tensor& g, const Tensor& x, const Tensor& mean,
                                           const Tensor& rstd, const Tensor& w, const Tensor& sum_g,
                                           const Tensor& sum_gx, const Tensor& out) {
  count({&g, &x, &mean, &rstd, &w, &sum_g, &sum_gx}, {&out});
}

void CountingBackend::fourier_features(const Tensor& t, const Tensor& z, const Tensor& out) {
  count({&t, &z}, {&out});
}
void CountingBackend::fourier_features_vjp(const Tensor& g, const Tensor& y, const Tensor& out) {
  count({&g, &y}, {&out});
}
void CountingBackend::gated_sum(const Tensor& y, const Tensor& b, const Tensor& c, const Unary*,
                                const Tensor& out) {
  count({&y, &b, &c}, {&out});
}
void CountingBackend::gemm(const Tensor& a, const Tensor& b, const Epilogue& epilogue, const Tensor& out) {
  count({&a, &b, epilogue.bias}, {&out}, out.numel() * a.size(-1));
}
void CountingBackend::conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter,
                             const Epilogue& epilogue, const Tensor& out) {
  count({&x, &filter, epilogue.bias}, {&out}, s.macs());
}
void CountingBackend::conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter,
                                    const Epilogue& epilogue, const Tensor& out) {
  count({&g, &filter, epilogue.bias}, {&out}, s.macs());
}
void CountingBackend::conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x,
                                    const Tensor& out) {
  count({&g, &x}, {&out}, s.macs());
}

void CountingBackend::normal(const RandomSlice& slice, const Tensor& out) { count({slice.state}, {&out}); }
void CountingBackend::uniform(const RandomSlice& slice, const Tensor& out) { count({slice.state}, {&out}); }
void CountingBackend::advance(const Tensor& state, std::uint64_t) { count({&state}, {&state}); }
void CountingBackend::noisy_update(const Tensor& z, const Tensor& g, const UpdateScales&,
                                   const RandomSlice* noise) {
  count({&z, &g, noise ? noise->state : nullptr}, {&z});
}
void CountingBackend::adam(std::span<const AdamTensors> tensors, const AdamStep& step) {
  Operands reads{step.schedule, step.grad_norm, step.watch}, writes;
  for (const auto& [param, grad, m, v] : tensors) {
    reads.insert(reads.end(), {&param, &grad, &m, &v});
    writes.insert(writes.end(), {&param, &m, &v});
  }
  count(reads, writes);
}
void CountingBackend::adam_tick(const Tensor& schedule, double, double, const Tensor* watch) {
  count({&schedule, watch}, {&schedule});
}
void CountingBackend::watch(const Tensor& value, std::int64_t, const Tensor& state) {
  count({&value, &state}, {&state});
}
void CountingBackend::lerp(std::span<const LerpTensors> tensors, double, const Tensor* watch) {
  Operands reads{watch}, writes;
  for (const auto& [target, source] : tensors) {
    reads.insert(reads.end(), {&target, &source});
    writes.push_back(&target);
  }
  count(reads, writes);
}

}  // namespace damc
