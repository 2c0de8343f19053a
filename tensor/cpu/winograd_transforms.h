/// The four maps around Winograd's products, for one tile; see winograd.h. Each is applied along both
/// dimensions, to rows of `length` channels.
#pragma once

#include <cstdint>

namespace damc::winograd {

/// (g0, g1) -> (g0, g0 + g1, g1)
template <class T>
void spread(const T* const (&in)[2][2], T* const (&out)[3][3], std::int64_t length) {
#pragma omp simd
  for (std::int64_t c = 0; c < length; ++c) {
    T s[3][2];
    for (int k = 0; k < 2; ++k) {
      s[0][k] = in[0][k][c];
      s[2][k] = in[1][k][c];
      s[1][k] = s[0][k] + s[2][k];
    }
    for (int j = 0; j < 3; ++j) {
      out[j][0][c] = s[j][0];
      out[j][1][c] = s[j][0] + s[j][1];
      out[j][2][c] = s[j][1];
    }
  }
}

/// (m0, m1, m2) -> (m0 + m1, m1 + m2), the adjoint of spread; then out = act(that + bias).
template <class T, class F>
void fold(const T* const (&in)[3][3], const T* bias, F activation, T* const (&out)[2][2],
          std::int64_t length) {
#pragma omp simd
  for (std::int64_t c = 0; c < length; ++c) {
    T s[2][3];
    for (int k = 0; k < 3; ++k) {
      s[0][k] = in[0][k][c] + in[1][k][c];
      s[1][k] = in[1][k][c] + in[2][k][c];
    }
    for (int j = 0; j < 2; ++j) {
      out[j][0][c] = activation.f(s[j][0] + s[j][1] + bias[c]);
      out[j][1][c] = activation.f(s[j][1] + s[j][2] + bias[c]);
    }
  }
}

/// (d0, d1, d2) -> (d0 - d1, d1, d2 - d1)
template <class T>
void differences(const T* const (&in)[3][3], T* const (&out)[3][3], std::int64_t length) {
#pragma omp simd
  for (std::int64_t c = 0; c < length; ++c) {
    T s[3][3];
    for (int k = 0; k < 3; ++k) {
      s[1][k] = in[1][k][c];
      s[0][k] = in[0][k][c] - s[1][k];
      s[2][k] = in[2][k][c] - s[1][k];
    }
    for (int j = 0; j < 3; ++j) {
      out[j][0][c] = s[j][0] - s[j][1];
      out[j][1][c] = s[j][1];
      out[j][2][c] = s[j][2] - s[j][1];
    }
  }
}

/// The adjoint of differences. Neighbouring tiles share an input, d2 of one and d0 of the next; each tile
/// sums its d0 and d1, from its own planes 0, 1, 2 and, as in[3], plane 2 of the tile before:
///   d0 = v0 + v3,  d1 = v1 - v0 - v2;  then out = act(that + bias).
template <class T, class F>
void gather(const T* const (&in)[4][4], const T* bias, F activation, T* const (&out)[2][2],
            std::int64_t length) {
#pragma omp simd
  for (std::int64_t c = 0; c < length; ++c) {
    T s[2][4];
    for (int k = 0; k < 4; ++k) {
      s[0][k] = in[0][k][c] + in[3][k][c];
      s[1][k] = in[1][k][c] - in[0][k][c] - in[2][k][c];
    }
    for (int j = 0; j < 2; ++j) {
      out[j][0][c] = activation.f(s[j][0] + s[j][3] + bias[c]);
      out[j][1][c] = activation.f(s[j][1] - s[j][0] - s[j][2] + bias[c]);
    }
  }
}

}  // namespace damc::winograd
