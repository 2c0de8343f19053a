#include "tensor/watch/counting_backend.h"

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

void CountingBackend::intercept(const KernelCall& call) {
  work_.launches += 1;
  work_.flop += 2.0 * static_cast<double>(call.macs);
  for (const Operands* side : {&call.reads, &call.writes}) {
    for (auto t = side->begin(); t != side->end(); ++t) {
      const auto same = [&](const Tensor& u) { return u.defined() && same_elements(u, *t); };
      if (t->defined() && std::none_of(side->begin(), t, same)) work_.bytes += bytes_of(*t);
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

}  // namespace damc
