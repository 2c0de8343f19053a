/// Element types. f32 is the working type, f64 the type of gradient checks; i64 holds counters only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace damc {

enum class Dtype : std::uint8_t { f32, f64, i64 };

/// Bytes of one element.
constexpr std::size_t size_of(Dtype dtype) { return dtype == Dtype::f32 ? 4 : 8; }

/// "f32", "f64" or "i64".
constexpr const char* name(Dtype dtype) {
  return dtype == Dtype::f32 ? "f32" : dtype == Dtype::f64 ? "f64" : "i64";
}

template <class T>
constexpr Dtype dtype_of() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, std::int64_t>);
  return std::is_same_v<T, float> ? Dtype::f32 : std::is_same_v<T, double> ? Dtype::f64 : Dtype::i64;
}

/// Calls f with a zero of the element type; only f32 and f64 take part in arithmetic.
template <class F>
void dispatch_float(Dtype dtype, F&& f) {
  if (dtype == Dtype::f32) {
    std::forward<F>(f)(float{});
  } else {
    std::forward<F>(f)(double{});
  }
}

}  // namespace damc
