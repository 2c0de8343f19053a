/// The linear maps around Winograd's products: constant matrices, applied along both dimensions of a tile to
/// rows of `length` channels; see winograd.h.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "tensor/dtype.h"

namespace damc::winograd {

template <int R, int C>
struct Matrix {
  static constexpr int rows = R, cols = C;
  double at[R][C];

  constexpr Matrix<C, R> transposed() const {
    Matrix<C, R> t{};
    for (int i = 0; i < R; ++i) {
      for (int j = 0; j < C; ++j) t.at[j][i] = at[i][j];
    }
    return t;
  }
  /// The column of the row's first entry that is not 0.
  constexpr int first_in(int row) const {
    int j = 0;
    while (at[row][j] == 0) ++j;
    return j;
  }
};

/// F(2, 2): two outputs of a filter with two taps by three products, from the points 0, 1 and infinity (up
/// to signs). Only additions, so the rounding errors are those of the direct form.
///   m0 = (d0 - d1) g0,  m1 = d1 (g0 + g1),  m2 = (d2 - d1) g1;   y0 = m0 + m1,  y1 = m1 + m2
struct TwoOutputs {
  static constexpr int outputs = 2, products = 3;
  static constexpr Matrix<3, 2> filter{{{1, 0}, {1, 1}, {0, 1}}};
  static constexpr Matrix<3, 3> input{{{1, -1, 0}, {0, 1, 0}, {0, -1, 1}}};
  static constexpr Matrix<2, 3> output{{{1, 1, 0}, {0, 1, 1}}};
};

/// F(4, 2): four outputs by five products, from the points 0, 1, -1/2, -2 and infinity, which of the small
/// ones round best: about twice the error of the direct form.
struct FourOutputs {
  static constexpr int outputs = 4, products = 5;
  static constexpr Matrix<5, 2> filter{
      {{-1, 0}, {2 / 9., 2 / 9.}, {8 / 9., -4 / 9.}, {-1 / 9., 2 / 9.}, {0, 1}}};
  static constexpr Matrix<5, 5> input{{{-1, -1.5, 1.5, 1, 0},
                                       {0, 1, 2.5, 1, 0},
                                       {0, -2, 1, 1, 0},
                                       {0, -0.5, -0.5, 1, 0},
                                       {0, -1, -1.5, 1.5, 1}}};
  static constexpr Matrix<4, 5> output{
      {{1, 1, 1, 1, 0}, {0, 1, -0.5, -2, 0}, {0, 1, 0.25, 4, 0}, {0, 1, -0.125, -8, 1}}};
};

/// The adjoint of `input` where tiles overlap by one input, which the next tile owns as its first: each tile
/// sums what belongs to the inputs of its own, from its products and, as last column, the last product of
/// the tile before (the only one that holds a tile's last input).
template <class Tile>
constexpr Matrix<Tile::outputs, Tile::products + 1> gathering() {
  constexpr int last = Tile::products - 1;
  Matrix<Tile::outputs, Tile::products + 1> g{};
  for (int i = 0; i < Tile::products; ++i) {
    for (int j = 0; j < Tile::outputs; ++j) g.at[j][i] = Tile::input.at[i][j];
  }
  g.at[0][Tile::products] = Tile::input.at[last][last];
  return g;
}

/// f(0), .., f(N - 1) with the numbers as types.
template <int N, class F>
[[gnu::always_inline]] inline void unrolled(const F& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, i>{}), ...);
  }
  (std::make_integer_sequence<int, N>{});
}

/// sum += number k of row `row` of m times x[k]; zeros cost nothing.
template <auto m, int row, int k, class T, class V>
[[gnu::always_inline]] inline void add_term(const V* x, V& sum) {
  constexpr T factor = static_cast<T>(m.at[row][k]);
  if constexpr (k == m.first_in(row)) {
    sum = factor * x[k];
  } else if constexpr (factor != 0) {
    sum += factor * x[k];
  }
}

/// sum = row `row` of m times the column x
template <auto m, int row, class T, class V, int... k>
[[gnu::always_inline]] inline void product(const V* x, V& sum, std::integer_sequence<int, k...>) {
  (add_term<m, row, k, T>(x, sum), ...);
}

/// Several neighbouring channels at once; the compiler cuts them to the width of the machine.
template <class T>
struct Lanes {
  static constexpr std::int64_t count = 64 / sizeof(T);
  using Vector [[gnu::vector_size(64)]] = T;
};

/// v = as many numbers as it holds
template <class V, class T>
inline void load(V& v, const T* from) {
  if constexpr (std::is_same_v<T, bf16> && sizeof(V) == 64) {
    std::uint16_t bits [[gnu::vector_size(32)]];
    std::memcpy(&bits, from, sizeof(bits));
    using Words [[gnu::vector_size(64)]] = std::uint32_t;
    const Words upper = __builtin_convertvector(bits, Words) << 16;
    std::memcpy(&v, &upper, sizeof(V));
  } else if constexpr (std::is_same_v<T, bf16>) {
    v = *from;
  } else {
    std::memcpy(&v, from, sizeof(V));
  }
}

/// `transform` of the channels from c on that fill one V, computed as T.
template <auto m, class V, class T, class In, class Out, class F>
inline void transform_lanes(In* const (&in)[m.cols][m.cols], Out* const (&out)[m.rows][m.rows],
                            std::int64_t c, const F& finish) {
  constexpr std::make_integer_sequence<int, m.cols> all;
  V s[m.rows][m.cols];
  for (int k = 0; k < m.cols; ++k) {
    V d[m.cols];
    for (int j = 0; j < m.cols; ++j) load(d[j], in[j][k] + c);
    unrolled<m.rows>([&](auto j) __attribute__((always_inline)) { product<m, j, T>(d, s[j][k], all); });
  }
  for (int j = 0; j < m.rows; ++j) {
    unrolled<m.rows>([&](auto i) __attribute__((always_inline)) {
      V r;
      product<m, i, T>(s[j], r, all);
      T result[sizeof(V) / sizeof(T)];
      std::memcpy(result, &r, sizeof(V));
      // Not in the loop itself: what is made in one is kept in memory.
      const auto put = [&, to = out[j][i] + c](std::int64_t lane) {
        to[lane] = static_cast<Out>(finish(result[lane], c + lane));
      };
#pragma omp simd
      for (std::int64_t lane = 0; lane < std::int64_t{sizeof(V) / sizeof(T)}; ++lane) put(lane);
    });
  }
}

/// out = finish(m in m^T, channel) for every channel, computed as T.
template <auto m, class T, class In, class Out, class F>
void transform(In* const (&in)[m.cols][m.cols], Out* const (&out)[m.rows][m.rows], std::int64_t length,
               const F& finish) {
  constexpr std::int64_t lanes = Lanes<T>::count;
  std::int64_t c = 0;
  for (; c + lanes <= length; c += lanes) {
    transform_lanes<m, typename Lanes<T>::Vector, T>(in, out, c, finish);
  }
  for (; c < length; ++c) transform_lanes<m, T, T>(in, out, c, finish);
}

template <auto m, class T, class In, class Out>
void transform(In* const (&in)[m.cols][m.cols], Out* const (&out)[m.rows][m.rows], std::int64_t length) {
  transform<m, T>(in, out, length, [](T value, std::int64_t) { return value; });
}

}  // namespace damc::winograd
