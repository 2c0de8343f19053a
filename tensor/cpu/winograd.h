/// Convolutions of kernel 4 and stride 2 by Winograd's minimal filtering, channels last: 36 (tiles of 2x2
/// outputs) or 25 (4x4) products where the direct form takes 64 (Winograd, "Arithmetic complexity of
/// computations", 1980).
///
/// In one dimension such a convolution is the sum of two with two taps, on every other input (phases q = 0,
/// 1):
///   y[o] = sum over q of x[2o - p + q] w[q] + x[2o + 2 - p + q] w[q + 2]
/// m neighbouring outputs of one phase take P = m + 1 products instead of 2m. In two dimensions that makes
/// four phases and P^2 planes of products over tiles of m x m outputs, with the matrices of
/// winograd_transforms.h on both sides:
///   V [P^2, tiles, 4 Cin] = input x,  U [P^2, Cout, 4 Cin] = filter w,  M [P^2, tiles, Cout] = V U^T,
///   y = output M
/// The other passes are the adjoints:
///   S [P^2, tiles, Cout] = output^T gy;   V = S U, gx = input^T V;   U = S^T V, gw = filter^T U
/// A tile's outputs are sums and differences of all its products, so an infinity or a NaN at one input pixel makes all
/// outputs of its tiles NaN, where the direct form keeps it to the outputs that see the pixel.
#pragma once

#include <omp.h>

#include <algorithm>
#include <memory>
#include <type_traits>

#include "tensor/conv_geometry.h"
#include "tensor/cpu/gemm.h"
#include "tensor/cpu/packed.h"
#include "tensor/cpu/parallel.h"
#include "tensor/cpu/pool.h"
#include "tensor/cpu/transposed_product.h"
#include "tensor/cpu/winograd_transforms.h"
#include "tensor/kernels/functors.h"

namespace damc {

/// Whether WinogradConv applies to images of T and pays, for a filter that is packed already or not: with few channels the
/// transforms cost more than the products they save. AMX multiplies bf16 so fast that preparing a filter takes longer
/// than the direct product with it, and so does reading a packed one, 6 times as large, for a few rows of each plane.
template <class T>
bool winograd_fits(const ConvGeometry& s, [[maybe_unused]] bool packed) {
  constexpr std::int64_t least = 32;  // channels
  const bool applies = s.is_dense() && s.kernel_h == 4 && s.kernel_w == 4 && s.stride == Pair(2);
#ifdef DAMC_CPU_TILES
  constexpr std::int64_t few = 16;
  const std::int64_t rows = s.n * ((s.out_h + 3) / 4) * ((s.out_w + 3) / 4);
  if (std::is_same_v<T, bf16> && (!packed || rows < few)) return false;
#endif
  return applies && s.in_c >= least && s.out_c >= least;
}

/// f(tile) with the tile whose size suits the geometry: the larger one when it saves products. With one such
/// tile to an image the products are thin, and unless U is packed, reading it takes longer than multiplying.
///
/// In bf16 U and V are rounded, which the larger tile's maps amplify. Relative errors (L2) of random images against the
/// direct product of the same operands: 2.3e-3 for the direct one itself (its result is rounded), 4.8e-3 for tiles of
/// 2x2, 1.0e-2 for 4x4. So these serve pinned filters alone: chains, whose gradients have noise of their own (of svhn's
/// posterior chain the end is off by 6.5e-3 instead of 4.2e-3, and 3.2e-3 by direct products).
template <class T, class F>
void dispatch_tile(const ConvGeometry& s, bool packed, const F& f) {
  const auto tiles = [&](std::int64_t m) { return ((s.out_h + m - 1) / m) * ((s.out_w + m - 1) / m); };
  const std::int64_t filter_bytes = 25 * 4 * s.in_c * s.out_c * std::int64_t{sizeof(T)};
  const bool exact = std::is_same_v<T, Computed<T>> || packed;
  const bool pays = exact && (tiles(4) > 1 || (packed && filter_bytes <= 128ll << 20));
  if (pays && 25 * tiles(4) < 9 * tiles(2)) {
    f(winograd::FourOutputs{});
  } else {
    f(winograd::TwoOutputs{});
  }
}

/// The three passes of one convolution; `bias` may be null, `activation` is a functor. T is the type of images and of the
/// factors U, V and S; the maps, products, filters and bias are of type C.
template <class T, class Tile>
class WinogradConv {
 public:
  static constexpr int m = Tile::outputs, P = Tile::products, kPlanes = P * P;
  using C = Computed<T>;

  /// One matrix for each product of a tile.
  template <class Q>
  struct Planes : Scratch<Q> {
    Planes(HostPool& pool, std::int64_t rows_of_plane, std::int64_t cols_of_plane)
        : Scratch<Q>(pool, kPlanes * rows_of_plane * cols_of_plane),
          rows(rows_of_plane),
          cols(cols_of_plane) {}
    Q* at(std::int64_t plane, std::int64_t row) const { return this->data() + (plane * rows + row) * cols; }
    std::int64_t rows, cols;
  };
  using FactorPlanes = Planes<T>;
  using ProductPlanes = Planes<C>;

  WinogradConv(const ConvGeometry& s, HostPool& pool)
      : s_(s),
        pool_(pool),
        rows_((s.out_h + m - 1) / m),
        cols_((s.out_w + m - 1) / m),
        depth_(4 * s.in_c),
        length_(std::max(s.in_c, s.out_c)),
        zeros_(pool, length_),
        spare_(pool, length_ * omp_get_max_threads()) {
    std::fill_n(zeros_.data(), length_, C(0));
  }

  /// U, as planes or packed for one of the passes.
  struct Filter {
    std::shared_ptr<const FactorPlanes> planes;
    std::shared_ptr<const PackedMatrices<T>> packed;
  };

  /// U for one use.
  Filter transformed(const C* w, bool transposed) const {
    if constexpr (std::is_same_v<T, C>) return {transform_filter(w), nullptr};
    return {nullptr, pack_filter(w, transposed)};
  }
  /// U^T for forward (transposed), U for grad_x.
  std::shared_ptr<const PackedMatrices<T>> pack_filter(const C* w, bool transposed) const {
    const auto u = transform_filter(w);
    auto packed = std::make_shared<PackedMatrices<T>>(pool_, kPlanes, transposed ? depth_ : s_.out_c,
                                                      transposed ? s_.out_c : depth_);
    for (std::int64_t plane = 0; plane < kPlanes; ++plane) {
      packed->pack(plane, Matrix<T>{u->at(plane, 0), depth_, transposed});
    }
    return packed;
  }

  template <class F>
  void forward(const T* x, const Filter& u, const C* bias, F activation, T* y) const {
    for_blocks<T, C>([&](const Images& images, const FactorPlanes& v, const ProductPlanes& products) {
      transform_input(x, images, v);
      times_filter(v, u, true, products);
      fold_output(products, images, bias ? bias : zeros_.data(), activation, y);
    });
  }

  template <class F>
  void grad_x(const T* gy, const Filter& u, const C* bias, F activation, T* gx) const {
    for_blocks<C, T>([&](const Images& images, const ProductPlanes& v, const FactorPlanes& spread) {
      spread_output(gy, images, spread);
      times_filter(spread, u, false, v);
      gather_input(v, images, bias ? bias : zeros_.data(), activation, gx);
    });
  }

  void grad_w(const T* gy, const T* x, C* gw) const {
    const ProductPlanes u(pool_, s_.out_c, depth_);
    if (s_.n == 0) std::fill_n(u.data(), kPlanes * s_.out_c * depth_, C(0));
    for_blocks<T, T>([&](const Images& images, const FactorPlanes& v, const FactorPlanes& spread) {
      transform_input(x, images, v);
      spread_output(gy, images, spread);
      const bool adds = images.first != 0;
      if constexpr (std::is_same_v<T, C>) {
        multiply({spread, true}, {v}, T(adds), u);
      } else {
        parallel_tasks(kPlanes, [&](std::int64_t plane) {
          transposed_product(pool_, s_.out_c, depth_, v.rows, spread.at(plane, 0),
                             MatrixRows<T>{v.at(plane, 0), depth_}, adds, u.at(plane, 0));
        });
      }
    });
    for_taps(gw, u, [&](const auto& taps, const auto& planes) {
      const C* in[P][P];
      for (int i = 0; i < kPlanes; ++i) in[i / P][i % P] = planes[i / P][i % P];
      winograd::transform<Tile::filter.transposed(), C>(in, taps, s_.in_c);
    });
  }

 private:
  static constexpr std::int64_t kBlockBytes = 16ll << 20;  // of the planes in work at one time

  struct Images {
    std::int64_t first, count;
  };

  std::shared_ptr<const FactorPlanes> transform_filter(const C* w) const {
    auto u = std::make_shared<FactorPlanes>(pool_, s_.out_c, depth_);
    for_taps(w, *u, [&](const auto& taps, const auto& planes) {
      winograd::transform<Tile::filter, C>(taps, planes, s_.in_c);
    });
    return u;
  }

  struct Factor {
    const FactorPlanes& planes;
    bool transposed = false;
    std::int64_t rows() const { return transposed ? planes.cols : planes.rows; }
    std::int64_t cols() const { return transposed ? planes.rows : planes.cols; }
  };

  /// out = a b + beta out, plane by plane. Many columns are divided too, for many threads; into the same parts for any
  /// number of them.
  static void multiply(const Factor& a, const Factor& b, T beta, const FactorPlanes& out) {
    const std::int64_t parts = std::max<std::int64_t>(1, out.cols / 512);
#pragma omp parallel for schedule(dynamic, 1)
    for (std::int64_t task = 0; task < kPlanes * parts; ++task) {
      const std::int64_t plane = task / parts, part = task % parts;
      const std::int64_t begin = out.cols * part / parts, end = out.cols * (part + 1) / parts;
      const T* columns = b.transposed ? b.planes.at(plane, begin) : b.planes.at(plane, 0) + begin;
      gemm_alone<T>(out.rows, end - begin, a.cols(), {a.planes.at(plane, 0), a.planes.cols, a.transposed},
                    {columns, b.planes.cols, b.transposed}, beta, out.at(plane, 0) + begin, out.cols);
    }
  }

  static void times_filter(const FactorPlanes& a, const Filter& u, bool transposed,
                           const ProductPlanes& out) {
    if constexpr (std::is_same_v<T, C>) {
      if (!u.packed) return multiply({a}, {*u.planes, transposed}, T(0), out);
    }
    gemm<T>(a.rows, a.data(), a.cols, a.rows * a.cols, *u.packed, out.data(), out.cols, out.rows * out.cols,
            [](auto...) {});
  }

  /// f(images, planes of V's size, planes of M's size) for blocks of images whose planes stay in the cache.
  template <class Q, class R, class F>
  void for_blocks(const F& f) const {
    const std::int64_t tiles = rows_ * cols_;
    const std::int64_t image_bytes =
        kPlanes * tiles * (depth_ * std::int64_t{sizeof(Q)} + s_.out_c * std::int64_t{sizeof(R)});
    const std::int64_t block = std::max<std::int64_t>(1, kBlockBytes / image_bytes);
    for (std::int64_t first = 0; first < s_.n; first += block) {
      const std::int64_t count = std::min(block, s_.n - first);
      f(Images{first, count}, Planes<Q>(pool_, count * tiles, depth_),
        Planes<R>(pool_, count * tiles, s_.out_c));
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
  template <class Q>
  static Q* pixel(Q* image, std::int64_t h, std::int64_t w, std::int64_t h_size, std::int64_t w_size,
                  std::int64_t channels, Q* outside) {
    const bool inside = h >= 0 && h < h_size && w >= 0 && w < w_size;
    return inside ? image + (h * w_size + w) * channels : outside;
  }
  template <class Q>
  Q* input_pixel(Q* x, std::int64_t n, std::int64_t h, std::int64_t w, Q* outside) const {
    return pixel(x + n * s_.in_h * s_.in_w * s_.in_c, h, w, s_.in_h, s_.in_w, s_.in_c, outside);
  }
  template <class Q>
  Q* output_pixel(Q* y, std::int64_t n, std::int64_t h, std::int64_t w, Q* outside) const {
    return pixel(y + n * s_.out_h * s_.out_w * s_.out_c, h, w, s_.out_h, s_.out_w, s_.out_c, outside);
  }
  /// Where a thread writes what lies outside the image.
  T* spare() const { return spare_.data() + omp_get_thread_num() * length_; }

  /// The first input of a tile in one dimension.
  static std::int64_t first_input(std::int64_t tile, int phase, std::int64_t padding) {
    return 2 * m * tile - padding + phase;
  }

  /// activation(value + bias), as `transform` ends; the value is rounded as it would be stored.
  template <class F>
  static auto epilogue(const C* bias, F activation) {
    return [=](C value, std::int64_t channel) {
      return activation.f(static_cast<C>(static_cast<T>(value)) + bias[channel]);
    };
  }
  /// What lies outside of an image, to be read.
  const T* outside() const {
    return reinterpret_cast<const T*>(zeros_.data());
  }  // zero bits are 0 in T as well

  void transform_input(const T* x, const Images& images, const FactorPlanes& v) const {
    for_tiles(images, 0, [&](std::int64_t n, std::int64_t tile0, std::int64_t row, std::int64_t col) {
      for (int phase = 0; phase < 4; ++phase) {
        const std::int64_t h = first_input(row, phase / 2, s_.padding.h),
                           w = first_input(col, phase % 2, s_.padding.w);
        const T* in[P][P];
        T* out[P][P];
        for (int j = 0; j < P; ++j) {
          for (int k = 0; k < P; ++k) {
            in[j][k] = input_pixel<const T>(x, n, h + 2 * j, w + 2 * k, outside());
            out[j][k] = v.at(P * j + k, tile0 + row * cols_ + col) + phase * s_.in_c;
          }
        }
        winograd::transform<Tile::input, C>(in, out, s_.in_c);
      }
    });
  }

  template <class F>
  void gather_input(const ProductPlanes& v, const Images& images, const C* bias, F activation, T* x) const {
    // The last input of the last tiles belongs to tiles that do not exist.
    for_tiles(images, 1, [&](std::int64_t n, std::int64_t tile0, std::int64_t row, std::int64_t col) {
      for (int phase = 0; phase < 4; ++phase) {
        const std::int64_t h = first_input(row, phase / 2, s_.padding.h),
                           w = first_input(col, phase % 2, s_.padding.w);
        if (h >= s_.in_h || w >= s_.in_w) continue;
        const C* in[P + 1][P + 1];
        T* out[m][m];
        for (int j = 0; j <= P; ++j) {
          for (int k = 0; k <= P; ++k) {
            const std::int64_t r = row - j / P, c = col - k / P;
            const bool exists = r >= 0 && r < rows_ && c >= 0 && c < cols_;
            const int plane = P * std::min(j, P - 1) + std::min(k, P - 1);
            in[j][k] = exists ? v.at(plane, tile0 + r * cols_ + c) + phase * s_.in_c : zeros_.data();
          }
        }
        for (int j = 0; j < m; ++j) {
          for (int k = 0; k < m; ++k) out[j][k] = input_pixel(x, n, h + 2 * j, w + 2 * k, spare());
        }
        winograd::transform<winograd::gathering<Tile>(), C>(in, out, s_.in_c, epilogue(bias, activation));
      }
    });
  }

  void spread_output(const T* y, const Images& images, const FactorPlanes& spread) const {
    for_tiles(images, 0, [&](std::int64_t n, std::int64_t tile0, std::int64_t row, std::int64_t col) {
      const T* in[m][m];
      T* out[P][P];
      for (int j = 0; j < m; ++j) {
        for (int k = 0; k < m; ++k)
          in[j][k] = output_pixel<const T>(y, n, m * row + j, m * col + k, outside());
      }
      for (int i = 0; i < kPlanes; ++i) out[i / P][i % P] = spread.at(i, tile0 + row * cols_ + col);
      winograd::transform<Tile::output.transposed(), C>(in, out, s_.out_c);
    });
  }

  template <class F>
  void fold_output(const ProductPlanes& products, const Images& images, const C* bias, F activation,
                   T* y) const {
    for_tiles(images, 0, [&](std::int64_t n, std::int64_t tile0, std::int64_t row, std::int64_t col) {
      const C* in[P][P];
      T* out[m][m];
      for (int i = 0; i < kPlanes; ++i) in[i / P][i % P] = products.at(i, tile0 + row * cols_ + col);
      for (int j = 0; j < m; ++j) {
        for (int k = 0; k < m; ++k) out[j][k] = output_pixel(y, n, m * row + j, m * col + k, spare());
      }
      winograd::transform<Tile::output, C>(in, out, s_.out_c, epilogue(bias, activation));
    });
  }

  /// f(taps, planes) for the taps of one phase of one filter: 2x2 rows of w [Cout, 4, 4, Cin], PxP rows of U.
  template <class W, class Q, class F>
  void for_taps(W* w, const Planes<Q>& u, const F& f) const {
#pragma omp parallel for schedule(static)
    for (std::int64_t filter = 0; filter < s_.out_c; ++filter) {
      for (int phase = 0; phase < 4; ++phase) {
        W* taps[2][2];
        Q* planes[P][P];
        for (int i = 0; i < 4; ++i) {
          const int h = phase / 2 + 2 * (i / 2), v = phase % 2 + 2 * (i % 2);
          taps[i / 2][i % 2] = w + ((filter * 4 + h) * 4 + v) * s_.in_c;
        }
        for (int i = 0; i < kPlanes; ++i) planes[i / P][i % P] = u.at(i, filter) + phase * s_.in_c;
        f(taps, planes);
      }
    }
  }

  ConvGeometry s_;
  HostPool& pool_;
  std::int64_t rows_, cols_;  // tiles of one image
  std::int64_t depth_, length_;
  Scratch<C> zeros_;
  Scratch<T> spare_;
};

}  // namespace damc
