/// Element types. f32 is the working type, f64 the type of gradient checks; bf16 is for storage only, what is
/// computed from it is f32 (see bf16.h); i64 holds counters only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "tensor/bf16.h"

namespace damc {

enum class Dtype : std::uint8_t { f32, f64, bf16, i64 };

/// Bytes of one element.
constexpr std::size_t size_of(Dtype dtype) { return dtype == Dtype::f32 ? 4 : dtype == Dtype::bf16 ? 2 : 8; }

/// "f32", "f64", "bf16" or "i64".
constexpr const char* name(Dtype dtype) {
  constexpr const char* names[] = {"f32", "f64", "bf16", "i64"};
  return names[static_cast<int>(dtype)];
}

template <class T>
constexpr Dtype dtype_of() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, bf16> ||
                std::is_same_v<T, std::int64_t>);
  return std::is_same_v<T, float>    ? Dtype::f32
         : std::is_same_v<T, double> ? Dtype::f64
         : std::is_same_v<T, bf16>   ? Dtype::bf16
                                     : Dtype::i64;
}

/// What numbers stored as T are computed, summed and parametrised in.
template <class T>
using Computed = std::conditional_t<std::is_same_v<T, bf16>, float, T>;

/// The same for a type known at run time.
constexpr Dtype computed(Dtype dtype) { return dtype == Dtype::bf16 ? Dtype::f32 : dtype; }

/// Throws Error: a kernel that does not take tensors of this type.
[[noreturn]] void refuse_dtype(Dtype dtype);

/// Calls f with a zero of the element type, for kernels in f32 and f64. Throws Error for others.
template <class F>
void dispatch_float(Dtype dtype, F&& f) {
  if (dtype == Dtype::f32) {
    std::forward<F>(f)(float{});
  } else if (dtype == Dtype::f64) {
    std::forward<F>(f)(double{});
  } else {
    refuse_dtype(dtype);
  }
}

/// The same for kernels that also load and store bf16.
template <class F>
void dispatch_stored(Dtype dtype, F&& f) {
  if (dtype == Dtype::bf16) {
    std::forward<F>(f)(bf16{});
  } else {
    dispatch_float(dtype, std::forward<F>(f));
  }
}

}  // namespace damc
