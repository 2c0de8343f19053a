/// How a register holds what a product multiplies and sums, by the type of its factors: one step along k of several
/// columns.
///
/// f32 and f64: one number of every column. bf16: two, the even one of k and the odd one after it, in a lane of the f32
/// sums. AVX512-BF16 multiplies and sums both at once, twice as many as in f32 in the same time; it takes subnormal
/// numbers as 0 and gives 0 for them. The plain form has them in f32, one after the other.
#pragma once

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include <bit>
#include <cstdint>
#include <cstring>

#include "tensor/dtype.h"

namespace damc {

#ifdef __AVX512F__
inline constexpr std::size_t kRegister = 64;
#else
inline constexpr std::size_t kRegister = 32;
#endif

template <class T>
struct Factors {
  using Sums [[gnu::vector_size(kRegister)]] = T;
  using Vector = Sums;
  static constexpr int depth = 1;  ///< numbers along k

  static T of_row(const T* a) { return *a; }
  static T last_of_row(const T* a) { return *a; }
  /// sums += a b
  [[gnu::always_inline]] static void add(Sums& sums, T a, const Vector& b) { sums += a * b; }
};

template <>
struct Factors<bf16> {
  using Sums [[gnu::vector_size(kRegister)]] = float;
  using Vector [[gnu::vector_size(kRegister)]] = std::uint32_t;  ///< pairs, the even one in the lower half
  static constexpr int depth = 2;

  static std::uint32_t of_row(const bf16* a) {
    std::uint32_t pair;
    std::memcpy(&pair, a, sizeof(pair));
    return pair;
  }
  /// The even one alone, with 0: the end of an odd k.
  static std::uint32_t last_of_row(const bf16* a) { return a->bits; }

  [[gnu::always_inline]] static void add_plain(Sums& sums, std::uint32_t a, const Vector& b) {
    constexpr std::uint32_t upper = 0xFFFF0000u;
    const Vector bits[2] = {b << 16, b & upper};
    Sums even_and_odd[2];
    std::memcpy(even_and_odd, bits, sizeof(bits));
    sums += std::bit_cast<float>(a << 16) * even_and_odd[0];
    sums += std::bit_cast<float>(a & upper) * even_and_odd[1];
  }
  [[gnu::always_inline]] static void add(Sums& sums, std::uint32_t a, const Vector& b) {
#ifdef __AVX512BF16__
    const auto pairs = _mm512_set1_epi32(static_cast<int>(a));
    sums = std::bit_cast<Sums>(_mm512_dpbf16_ps(std::bit_cast<__m512>(sums), std::bit_cast<__m512bh>(pairs),
                                                std::bit_cast<__m512bh>(b)));
#else
    add_plain(sums, a, b);
#endif
  }
};

}  // namespace damc
