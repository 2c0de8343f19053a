/// Convolutions of kernel 4 and stride 2 by Winograd's minimal filtering F(2x2, 2x2), channels last: 36
/// products where the direct form takes 64 (Winograd, "Arithmetic complexity of computations", 1980).
///
/// In one dimension such a convolution is the sum of two with two taps, on every other input (phases q = 0,
/// 1):
///   y[o] = sum over q of x[2o - p + q] w[q] + x[2o + 2 - p + q] w[q + 2]
/// Two neighbouring outputs of one phase, from inputs d0 d1 d2 and taps g0 g1, take three products instead of
/// four:
///   m0 = (d0 - d1) g0,  m1 = d1 (g0 + g1),  m2 = (d2 - d1) g1;   y0 = m0 + m1,  y1 = m1 + m2
/// In two dimensions that makes four phases and nine planes of products over tiles of 2x2 outputs:
///   V [9, tiles, 4 Cin] differences of x,  U [9, Cout, 4 Cin] spread of w,  M [9, tiles, Cout] = V U^T folds
///   to y
/// The other passes are the adjoints, where S [9, tiles, Cout] is the spread of gy:
///   V = S U gathers to gx,   U = S^T V folds to gw
/// Only additions surround the products, so the rounding errors are those of the direct form.
#pragma once

#include <omp.h>

#include <algorithm>

#include "tensor/conv_geometry.h"
#include "tensor/cpu/gemm.h"
#include "tensor/cpu/pool.h"
#include "tensor/cpu/winograd_transforms.h"
#include "tensor/functors.h"

namespace damc {

/// Whether WinogradConv applies and pays: with few channels the transforms cost more than the products they
/// save.
inline bool winograd_fits(const ConvGeometry& s) {
  constexpr std::int64_t least = 32;
  return s.kernel_h == 4 && s.kernel_w == 4 && s.stride == 2 && s.in_c >= least && s.out_c >= least;
}

/// The three passes of one convolution; `bias` may be null, `activation` is a functor.
template <class T>
class WinogradConv {
 public:
  WinogradConv(const ConvGeometry& s, HostPool& pool)
      : s_(s),
        pool_(pool),
        rows_((s.out_h + 1) / 2),
        cols_((s.out_w + 1) / 2),
        depth_(4 * s.in_c),
        length_(std::max(s.in_c, s.out_c)),
        zeros_(pool, length_),
        spare_(pool, length_ * omp_get_max_threads()) {
    std::fill_n(zeros_.data(), length_, T(0));
  }

  template <class F>
  void forward(const T* x, const T* w, const T* bias, F activation, T* y) const {
    const Planes u(*this, s_.out_c, depth_);
    spread_filter(w, u);
    for_blocks([&](const Images& images, const Planes& v, const Planes& m) {
      difference_input(x, images, v);
      multiply({v}, {u, true}, T(0), m);
      fold_output(m, images, bias ? bias : zeros_.data(), activation, y);
    });
  }

  template <class F>
  void grad_x(const T* gy, const T* w, const T* bias, F activation, T* gx) const {
    const Planes u(*this, s_.out_c, depth_);
    spread_filter(w, u);
    for_blocks([&](const Images& images, const Planes& v, const Planes& m) {
      spread_output(gy, images, m);
      multiply({m}, {u}, T(0), v);
      gather_input(v, images, bias ? bias : zeros_.data(), activation, gx);
    });
  }

  void grad_w(const T* gy, const T* x, T* gw) const {
    const Planes u(*this, s_.out_c, depth_);
    if (s_.n == 0) std::fill_n(u.data(), 9 * s_.out_c * depth_, T(0));
    for_blocks([&](const Images& images, const Planes& v, const Planes& m) {
      difference_input(x, images, v);
      spread_output(gy, images, m);
      multiply({m, true}, {v}, images.first == 0 ? T(0) : T(1), u);
    });
    fold_filter(u, gw);
  }

 private:
  static constexpr std::int64_t kBlockBytes = 16ll << 20;  // of the planes in work at one time

  struct Images {
    std::int64_t first, count;
  };

  /// Nine matrices.
  struct Planes : Scratch<T> {
    Planes(const WinogradConv& conv, std::int64_t rows_of_plane, std::int64_t cols_of_plane)
        : Scratch<T>(conv.pool_, 9 * rows_of_plane * cols_of_plane),
          rows(rows_of_plane),
          cols(cols_of_plane) {}
    T* at(std::int64_t plane, std::int64_t row) const { return this->data() + (plane * rows + row) * cols; }
    std::int64_t rows, cols;
  };

  struct Factor {
    const Planes& planes;
    bool transposed = false;
    std::int64_t rows() const { return transposed ? planes.cols : planes.rows; }
    std::int64_t cols() const { return transposed ? planes.rows : planes.cols; }
  };

  /// out = a b + beta out, plane by plane. The columns are divided too, so that every thread has work.
  static void multiply(const Factor& a, const Factor& b, T beta, const Planes& out) {
    const std::int64_t parts = omp_in_parallel() ? 1 : omp_get_max_threads();
#pragma omp parallel for schedule(dynamic, 1) if (parts > 1)
    for (std::int64_t task = 0; task < 9 * parts; ++task) {
      const std::int64_t plane = task / parts, part = task % parts;
      const std::int64_t begin = out.cols * part / parts, end = out.cols * (part + 1) / parts;
      const T* columns = b.transposed ? b.planes.at(plane, begin) : b.planes.at(plane, 0) + begin;
      gemm<T>(out.rows, end - begin, a.cols(), {a.planes.at(plane, 0), a.planes.cols, a.transposed},
              {columns, b.planes.cols, b.transposed}, beta, out.at(plane, 0) + begin, out.cols);
    }
  }

  /// f(images, V, M) for blocks of images whose planes stay in the cache.
  template <class F>
  void for_blocks(const F& f) const {
    const std::int64_t tiles = rows_ * cols_;
    const std::int64_t image_bytes = 9 * tiles * (depth_ + s_.out_c) * std::int64_t{sizeof(T)};
    const std::int64_t block = std::max<std::int64_t>(1, kBlockBytes / image_bytes);
    for (std::int64_t first = 0; first < s_.n; first += block) {
      const std::int64_t count = std::min(block, s_.n - first);
      f(Images{first, count}, Planes(*this, count * tiles, depth_), Planes(*this, count * tiles, s_.out_c));
    }
  }

  /// f(image, its first tile, tile row, tile column), up to `more` rows and columns beyond the last tiles.
  template <class F>
  void for_tiles(const Images& images, std::int64_t more, const F& f) const {
#pragma omp parallel for collapse(2) schedule(static)
    for (std::int64_t i = 0; i < images.count; ++i) {
      for (std::int64_t row = 0; row < rows_ + more; ++row) {
        for (std::int64_t col = 0; col < cols_ + more; ++col)
          f(images.first + i, i * rows_ * cols_, row, col);
      }
    }
  }

  /// The channels at (h, w) of an image of h_size x w_size, or `outside`.
  template <class P>
  static P* pixel(P* image, std::int64_t h, std::int64_t w, std::int64_t h_size, std::int64_t w_size,
                  std::int64_t channels, P* outside) {
    const bool inside = h >= 0 && h < h_size && w >= 0 && w < w_size;
    return inside ? image + (h * w_size + w) * channels : outside;
  }
  template <class P>
  P* input_pixel(P* x, std::int64_t n, std::int64_t h, std::int64_t w, P* outside) const {
    return pixel(x + n * s_.in_h * s_.in_w * s_.in_c, h, w, s_.in_h, s_.in_w, s_.in_c, outside);
  }
  template <class P>
  P* output_pixel(P* y, std::int64_t n, std::int64_t h, std::int64_t w, P* outside) const {
    return pixel(y + n * s_.out_h * s_.out_w * s_.out_c, h, w, s_.out_h, s_.out_w, s_.out_c, outside);
  }
  /// Where a thread writes what lies outside the image.
  T* spare() const { return spare_.data() + omp_get_thread_num() * length_; }

  void difference_input(const T* x, const Images& images, const Planes& v) const {
    for_tiles(images, 0, [&](std::int64_t n, std::int64_t tile0, std::int64_t row, std::int64_t col) {
      for (int phase = 0; phase < 4; ++phase) {
        const std::int64_t h = 4 * row - s_.padding + phase / 2, w = 4 * col - s_.padding + phase % 2;
        const T* in[3][3];
        T* out[3][3];
        for (int j = 0; j < 3; ++j) {
          for (int k = 0; k < 3; ++k) {
            in[j][k] = input_pixel<const T>(x, n, h + 2 * j, w + 2 * k, zeros_.data());
            out[j][k] = v.at(3 * j + k, tile0 + row * cols_ + col) + phase * s_.in_c;
          }
        }
        winograd::differences(in, out, s_.in_c);
      }
    });
  }

  template <class F>
  void gather_input(const Planes& v, const Images& images, const T* bias, F activation, T* x) const {
    // d2 of the last tiles belongs to tiles that do not exist.
    for_tiles(images, 1, [&](std::int64_t n, std::int64_t tile0, std::int64_t row, std::int64_t col) {
      for (int phase = 0; phase < 4; ++phase) {
        const std::int64_t h = 4 * row - s_.padding + phase / 2, w = 4 * col - s_.padding + phase % 2;
        if (h >= s_.in_h || w >= s_.in_w) continue;
        const T* in[4][4];
        T* out[2][2];
        for (int j = 0; j < 4; ++j) {
          for (int k = 0; k < 4; ++k) {
            const std::int64_t r = row - j / 3, c = col - k / 3;
            const bool exists = r >= 0 && r < rows_ && c >= 0 && c < cols_;
            const int plane = 3 * std::min(j, 2) + std::min(k, 2);
            in[j][k] = exists ? v.at(plane, tile0 + r * cols_ + c) + phase * s_.in_c : zeros_.data();
          }
        }
        for (int j = 0; j < 2; ++j) {
          for (int k = 0; k < 2; ++k) out[j][k] = input_pixel(x, n, h + 2 * j, w + 2 * k, spare());
        }
        winograd::gather(in, bias, activation, out, s_.in_c);
      }
    });
  }

  void spread_output(const T* y, const Images& images, const Planes& m) const {
    for_tiles(images, 0, [&](std::int64_t n, std::int64_t tile0, std::int64_t row, std::int64_t col) {
      const T* in[2][2];
      T* out[3][3];
      for (int j = 0; j < 2; ++j) {
        for (int k = 0; k < 2; ++k)
          in[j][k] = output_pixel<const T>(y, n, 2 * row + j, 2 * col + k, zeros_.data());
      }
      for (int i = 0; i < 9; ++i) out[i / 3][i % 3] = m.at(i, tile0 + row * cols_ + col);
      winograd::spread(in, out, s_.out_c);
    });
  }

  template <class F>
  void fold_output(const Planes& m, const Images& images, const T* bias, F activation, T* y) const {
    for_tiles(images, 0, [&](std::int64_t n, std::int64_t tile0, std::int64_t row, std::int64_t col) {
      const T* in[3][3];
      T* out[2][2];
      for (int i = 0; i < 9; ++i) in[i / 3][i % 3] = m.at(i, tile0 + row * cols_ + col);
      for (int j = 0; j < 2; ++j) {
        for (int k = 0; k < 2; ++k) out[j][k] = output_pixel(y, n, 2 * row + j, 2 * col + k, spare());
      }
      winograd::fold(in, bias, activation, out, s_.out_c);
    });
  }

  /// f(taps, planes) for the taps of one phase of one filter: 2x2 rows of w [Cout, 4, 4, Cin], 3x3 rows of U.
  template <class P, class F>
  void for_taps(P* w, const Planes& u, const F& f) const {
#pragma omp parallel for schedule(static)
    for (std::int64_t filter = 0; filter < s_.out_c; ++filter) {
      for (int phase = 0; phase < 4; ++phase) {
        P* taps[2][2];
        T* planes[3][3];
        for (int i = 0; i < 4; ++i) {
          const int h = phase / 2 + 2 * (i / 2), v = phase % 2 + 2 * (i % 2);
          taps[i / 2][i % 2] = w + ((filter * 4 + h) * 4 + v) * s_.in_c;
        }
        for (int i = 0; i < 9; ++i) planes[i / 3][i % 3] = u.at(i, filter) + phase * s_.in_c;
        f(taps, planes);
      }
    }
  }

  void spread_filter(const T* w, const Planes& u) const {
    for_taps(w, u, [&](const auto& taps, const auto& planes) { winograd::spread<T>(taps, planes, s_.in_c); });
  }

  void fold_filter(const Planes& u, T* w) const {
    for_taps(w, u, [&](const auto& taps, const auto& planes) {
      const T* in[3][3];
      for (int i = 0; i < 9; ++i) in[i / 3][i % 3] = planes[i / 3][i % 3];
      winograd::fold<T>(in, zeros_.data(), functor::identity<T>{}, taps, s_.in_c);
    });
  }

  ConvGeometry s_;
  HostPool& pool_;
  std::int64_t rows_, cols_;  // tiles of one image
  std::int64_t depth_, length_;
  Scratch<T> zeros_, spare_;
};

}  // namespace damc
