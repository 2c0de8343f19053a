/// The linear maps around Winograd's products: constant matrices, applied along both dimensions of a tile to
/// rows of `length` channels; see winograd.h.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

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
inline void unrolled(const F& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) { (f(std::integral_constant<int, i>{}), ...); }
  (std::make_integer_sequence<int, N>{});
}

/// Row `row` of m times the column x[0], x[step], ..; zeros cost nothing.
template <auto m, int row, int step, class T, class V>
inline V product(const V* x) {
  V sum{};
  unrolled<m.cols>([&](auto k) {
    constexpr T factor = static_cast<T>(m.at[row][k]);
    if constexpr (k == m.first_in(row)) {
      sum = factor * x[k * step];
    } else if constexpr (factor != 0) {
      sum += factor * x[k * step];
    }
  });
  return sum;
}

/// Several neighbouring channels at once; the compiler cuts them to the width of the machine.
template <class T>
struct Lanes {
  static constexpr std::int64_t count = 64 / sizeof(T);
  using Vector [[gnu::vector_size(64)]] = T;
};

/// `transform` of the channels from c on that fill one V.
template <auto m, class V, class T, class F>
inline void transform_lanes(const T* const (&in)[m.cols][m.cols], T* const (&out)[m.rows][m.rows],
                            std::int64_t c, const F& finish) {
  V d[m.cols * m.cols], s[m.rows * m.cols];
  for (int j = 0; j < m.cols; ++j) {
    for (int k = 0; k < m.cols; ++k) std::memcpy(&d[j * m.cols + k], in[j][k] + c, sizeof(V));
  }
  unrolled<m.cols>([&](auto k) {
    unrolled<m.rows>([&](auto j) { s[j * m.cols + k] = product<m, j, m.cols, T>(d + k); });
  });
  unrolled<m.rows>([&](auto j) {
    unrolled<m.rows>([&](auto i) {
      T result[sizeof(V) / sizeof(T)];
      const V r = product<m, i, 1, T>(s + j * m.cols);
      std::memcpy(result, &r, sizeof(V));
      T* to = out[j][i] + c;
#pragma omp simd
      for (std::size_t lane = 0; lane < sizeof(V) / sizeof(T); ++lane) {
        to[lane] = finish(result[lane], c + static_cast<std::int64_t>(lane));
      }
    });
  });
}

/// out = finish(m in m^T, channel) for every channel.
template <auto m, class T, class F>
void transform(const T* const (&in)[m.cols][m.cols], T* const (&out)[m.rows][m.rows], std::int64_t length,
               const F& finish) {
  constexpr std::int64_t lanes = Lanes<T>::count;
  std::int64_t c = 0;
  for (; c + lanes <= length; c += lanes) {
    transform_lanes<m, typename Lanes<T>::Vector>(in, out, c, finish);
  }
  for (; c < length; ++c) transform_lanes<m, T>(in, out, c, finish);
}

template <auto m, class T>
void transform(const T* const (&in)[m.cols][m.cols], T* const (&out)[m.rows][m.rows], std::int64_t length) {
  transform<m>(in, out, length, [](T value, std::int64_t) { return value; });
}

}  // namespace damc::winograd
