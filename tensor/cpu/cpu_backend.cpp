/// The CPU: shared kernels over OpenMP and SIMD loops, products by OpenBLAS or, of packed factors and in bf16, by a kernel
/// of our own (packed.h), convolutions by im2col / col2im or Winograd.
/// Compiled once for each variant of processor (variants.h), of which DAMC_CPU_VARIANT is the name.

#include <algorithm>
#include <cstring>

#include "tensor/cpu/conv.h"
#include "tensor/cpu/emulated_products.h"
#include "tensor/cpu/executor.h"
#include "tensor/cpu/gemm.h"
#include "tensor/cpu/grouped_conv.h"
#include "tensor/cpu/packed.h"
#include "tensor/cpu/parallel.h"
#include "tensor/cpu/pool.h"
#include "tensor/cpu/tile_check.h"
#include "tensor/cpu/transposed_product.h"
#include "tensor/cpu/winograd.h"
#include "tensor/error.h"
#include "tensor/kernels/shared_kernels.h"
#include "tensor/weight_cache.h"

namespace damc {
namespace {

/// A 2-D slice of a tensor with unit stride in one of its two dimensions, as BLAS sees it.
template <class T>
Matrix<T> as_matrix(const Tensor& t, std::int64_t batch) {
  const int row = t.ndim() - 2, col = t.ndim() - 1;
  const Shape& strides = t.strides();
  const T* data = t.data<T>() + (t.ndim() == 3 ? batch * strides[0] : 0);
  const bool transposed = strides[col] != 1 && t.shape()[col] != 1;
  const std::int64_t least = std::max<std::int64_t>(1, transposed ? t.shape()[row] : t.shape()[col]);
  return {data, std::max(least, transposed ? strides[col] : strides[row]), transposed};
}

/// Products of f32 and f64 operands, and convolutions of bf16 images; EmulatedProducts adds the others.
class CpuBackend : public SharedKernels<CpuExecutor> {
 public:
  void* allocate(std::size_t bytes) override { return pool_.allocate(bytes); }
  void release(void* block, std::size_t bytes) override { pool_.release(block, bytes); }
  void copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind) override {
    if (bytes) std::memcpy(to, from, bytes);
  }
  void synchronize() override {}
  std::size_t bytes_in_use() const override { return pool_.bytes_in_use(); }
  std::size_t bytes_reserved() const override { return pool_.bytes_reserved(); }
  void pin(const Tensor& weight) override { weights_.pin(weight); }
  void unpin(const Tensor& weight) override { weights_.unpin(weight); }

  void gemm(const Tensor& a, const Tensor& b, const Tensor& bias, const ProductOptions& options,
            const Tensor& out) override {
    dispatch_float(out.dtype(), [&]<class T>(T) {
      const std::int64_t m = out.size(-2), n = out.size(-1), k = a.size(-1);
      const std::int64_t batches = out.ndim() == 3 ? out.size(0) : 1;
      const auto packed = batches == 1 ? packed_weight<T>(b, as_matrix<T>(b, 0), k, n) : nullptr;
      for (std::int64_t i = 0; i < batches; ++i) {
        multiply<T>(m, as_matrix<T>(a, i), as_matrix<T>(b, i), packed, k, n, bias, options.activation,
                    out.data<T>() + i * m * n);
      }
    });
  }

  bool gated_linear(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& c,
                    const ProductOptions& options, const Tensor& out) override {
    if (!weights_.is_pinned(w) || x.strides()[1] != 1) return false;
    dispatch_float(x.dtype(), [&]<class T>(T) {
      const std::int64_t k = x.size(1), n = out.size(1);
      const auto pairs = weights_.get(w, {WeightCache::Form::pairs, true}, [&] {
        return pack_pairs<T>(pool_, k, n, as_matrix<T>(w.transpose(0, 1), 0));
      });
      dispatch_fused<T>(options.activation, [&](auto f) {
        const auto body = gated_sum_body<T>(nullptr, b, c, out, f);
        gemm_pairs<T>(x.size(0), x.data<T>(), as_matrix<T>(x, 0).ld, *pairs, n,
                      [&](const T* y1, const T* y2, std::int64_t ld, std::int64_t first, std::int64_t rows,
                          std::int64_t column, auto columns) {
                        for (std::int64_t r = 0; r < rows; ++r) {
                          const auto row = body.row(first + r, column, y1 + r * ld, y2 + r * ld);
#pragma omp simd
                          for (std::int64_t j = 0; j < columns; ++j) row(j);
                        }
                      });
      });
    });
    return true;
  }

  /// y [pixels, Cout] = columns(x) [pixels, kH kW Cin] filter^T
  void conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Tensor& bias,
              const ProductOptions& options, const Tensor& out) override {
    if (!s.is_dense()) {
      dispatch_float(out.dtype(), [&]<class T>(T) {
        GroupedConv<T>(s, pool_).forward(x.data<T>(), filter.data<T>(), out.data<T>());
      });
      finish(bias, options.activation, out);
      return;
    }
    if (pays_mirrored(s, x)) {
      CpuBackend::conv2d_grad_x(mirrored(s), x, mirrored_filter(s, filter), bias, options, out);
      return;
    }
    dispatch_stored(out.dtype(), [&]<class T>(T) {
      using C = Computed<T>;
      if (winograd_fits<T>(s, weights_.is_pinned(filter))) {
        with_winograd<T>(s, weights_.is_pinned(filter), [&](const auto& conv) {
          const auto u = winograd_filter<T>(conv, filter, true);
          dispatch_fused<C>(options.activation, [&](auto activation) {
            conv.forward(x.data<T>(), u, data_or_null<C>(bias), activation, out.data<T>());
          });
        });
        return;
      }
      const std::int64_t pixels = s.out_h * s.out_w, depth = s.taps() * s.in_c;
      const Matrix<C> matrix{filter.data<C>(), depth, true};
      const auto packed = packed_weight<T>(filter, matrix, depth, s.out_c);
      for_image_blocks(s, [&](std::int64_t first, std::int64_t count) {
        const bool direct = s.is_gemm();
        const Scratch<T> columns(pool_, direct ? 0 : count * pixels * depth);
        if (!direct) im2col(s, x.data<T>(), first, count, columns.data());
        T* y = out.data<T>() + first * pixels * s.out_c;
        multiply<T>(count * pixels, {direct ? x.data<T>() + first * depth : columns.data(), depth}, matrix,
                    packed, depth, s.out_c, bias, options.activation, y);
      });
    });
  }

  /// columns [pixels, kH kW Cin] = g [pixels, Cout] filter; each input pixel sums its entries.
  void conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Tensor& bias,
                     const ProductOptions& options, const Tensor& out) override {
    if (!s.is_dense()) {
      dispatch_float(out.dtype(), [&]<class T>(T) {
        GroupedConv<T>(s, pool_).grad_x(g.data<T>(), filter.data<T>(), out.data<T>());
      });
      finish(bias, options.activation, out);
      return;
    }
    if (pays_mirrored(s, g)) {
      CpuBackend::conv2d(mirrored(s), g, mirrored_filter(s, filter), bias, options, out);
      return;
    }
    dispatch_stored(out.dtype(), [&]<class T>(T) {
      using C = Computed<T>;
      if (winograd_fits<T>(s, weights_.is_pinned(filter))) {
        with_winograd<T>(s, weights_.is_pinned(filter), [&](const auto& conv) {
          const auto u = winograd_filter<T>(conv, filter, false);
          dispatch_fused<C>(options.activation, [&](auto activation) {
            conv.grad_x(g.data<T>(), u, data_or_null<C>(bias), activation, out.data<T>());
          });
        });
        return;
      }
      const std::int64_t pixels = s.out_h * s.out_w, depth = s.taps() * s.in_c;
      const Matrix<C> matrix{filter.data<C>(), depth};
      const auto packed = packed_weight<T>(filter, matrix, s.out_c, depth);
      for_image_blocks(s, [&](std::int64_t first, std::int64_t count) {
        const T* y = g.data<T>() + first * pixels * s.out_c;
        if (s.is_gemm()) {
          T* target = out.data<T>() + first * depth;
          multiply<T>(count, {y, s.out_c}, matrix, packed, s.out_c, depth, {}, {}, target);
          finish_rows<T>(bias, options.activation, target, count * s.taps(), s.in_c);
          return;
        }
        const Scratch<C> columns(pool_, count * pixels * depth);
        sum_products<T>(count * pixels, {y, s.out_c}, matrix, packed, s.out_c, depth, columns.data());
        dispatch_fused<C>(options.activation, [&](auto activation) {
          col2im(s, columns.data(), first, count, data_or_null<C>(bias), activation, out.data<T>());
        });
      });
    });
  }

  /// out [Cout, kH kW Cin] = sum over pixels of g^T columns(x). Blocks of images add up; a small filter gives
  /// products too small for threads, so there the batch is cut in parts whose sums add up in the end.
  void conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x, MatmulPrecision precision,
                     const Tensor& out) override {
    if (!s.is_dense()) {
      dispatch_float(out.dtype(), [&]<class T>(T) {
        GroupedConv<T>(s, pool_).grad_w(g.data<T>(), x.data<T>(), out.data<T>());
      });
      return;
    }
    if (pays_mirrored(s, x)) {
      const ConvGeometry t = mirrored(s);
      const Tensor sum = Tensor::empty(t.filter_shape());
      CpuBackend::conv2d_grad_w(t, x, g, precision, sum);
      mirror_filter(t, sum.data<float>(), out.data<float>());
      return;
    }
    dispatch_stored(x.dtype(), [&]<class T>(T) {
      using C = Computed<T>;
      if (winograd_fits<T>(s, false)) {
        with_winograd<T>(s, false,
                         [&](const auto& conv) { conv.grad_w(g.data<T>(), x.data<T>(), out.data<C>()); });
        return;
      }
      const std::int64_t size = out.numel(), parts = size <= kSmallFilter ? std::min(s.n, kParts) : 1;
      if (parts <= 1) {
        grad_w_of_images(s, g.data<T>(), x.data<T>(), 0, s.n, out.data<C>());
        return;
      }
      const Scratch<C> sums(pool_, parts * size);
      parallel_tasks(parts, [&](std::int64_t part) {
        grad_w_of_images(s, g.data<T>(), x.data<T>(), s.n * part / parts, s.n * (part + 1) / parts,
                         sums.data() + part * size);
      });
      for (std::int64_t i = 0; i < size; ++i) {
        C sum = 0;
        for (std::int64_t part = 0; part < parts; ++part) sum += sums.data()[part * size + i];
        out.data<C>()[i] = sum;
      }
    });
  }

 private:
  static constexpr std::int64_t kBlockRows = 512;  // rows of a product that make packing the filter cheap
  static constexpr std::int64_t kColumnBytes = 16ll << 20;  // columns of one weight-gradient product
  static constexpr std::int64_t kSmallFilter = 1ll << 14, kParts = 16;

  /// Whether mirrored(s) takes the place of s: images in bf16 that become one of few channels. A product has at least
  /// 16 columns, whether the channels fill them or not.
  static bool pays_mirrored(const ConvGeometry& s, const Tensor& image) {
    return image.dtype() == Dtype::bf16 && s.stride == Pair(1) && 4 * s.out_c <= s.in_c && s.out_c < 16 &&
           !s.is_gemm() && s.padding.h < s.kernel_h && s.padding.w < s.kernel_w;
  }
  static Tensor mirrored_filter(const ConvGeometry& s, const Tensor& filter) {
    Tensor other = Tensor::empty(mirrored(s).filter_shape());
    mirror_filter(s, filter.data<float>(), other.data<float>());
    return other;
  }

  /// The weight gradient of images [begin, end).
  template <class T>
  void grad_w_of_images(const ConvGeometry& s, const T* g, const T* x, std::int64_t begin, std::int64_t end,
                        Computed<T>* out) {
    const std::int64_t pixels = s.out_h * s.out_w, depth = s.taps() * s.in_c;
    if (begin == end) std::fill_n(out, s.out_c * depth, Computed<T>(0));
    if constexpr (std::is_same_v<T, bf16>) {
      constexpr std::int64_t panel = PackedMatrices<T>::kPanel;
      if (s.in_c % panel == 0) {
        const T zeros[panel] = {};
        transposed_product(pool_, s.out_c, depth, (end - begin) * pixels, g + begin * pixels * s.out_c,
                           ImageRows<T>{s, x + begin * s.in_h * s.in_w * s.in_c, zeros}, false, out);
        return;
      }
    }
    const std::int64_t block =
        std::max<std::int64_t>(1, kColumnBytes / (pixels * depth * std::int64_t{sizeof(T)}));
    for (std::int64_t first = begin; first < end; first += block) {
      const std::int64_t count = std::min(block, end - first);
      const bool direct = s.is_gemm();
      const Scratch<T> columns(pool_, direct ? 0 : count * pixels * depth);
      if (!direct) im2col(s, x, first, count, columns.data());
      const T *left = g + first * pixels * s.out_c, *right = direct ? x + first * depth : columns.data();
      const bool adds = first != begin;
      if constexpr (std::is_same_v<T, bf16>) {
        transposed_product(pool_, s.out_c, depth, count * pixels, left, MatrixRows<T>{right, depth}, adds,
                           out);
      } else {
        damc::gemm<T>(s.out_c, depth, count * pixels, {left, s.out_c, true}, {right, depth}, T(adds), out,
                      depth);
      }
    }
  }

  /// Cuts the batch into blocks of images, the same for any number of threads; each thread takes whole blocks. With
  /// fewer blocks than threads the threads work inside the blocks instead (OpenMP runs a nested region on one
  /// thread), and so they do where the convolution is one product, or every thread would read the whole filter.
  template <class F>
  static void for_image_blocks(const ConvGeometry& s, F&& f) {
    const std::int64_t pixels = s.out_h * s.out_w;
    const std::int64_t threads = omp_in_parallel() ? 1 : omp_get_max_threads();
    const std::int64_t block = std::max<std::int64_t>(1, s.is_gemm() ? s.n : kBlockRows / pixels);
    const std::int64_t blocks = (s.n + block - 1) / block;
    const auto work = [&](std::int64_t i) { f(i * block, std::min(block, s.n - i * block)); };
    if (blocks < threads || threads == 1) {  // not by an if clause: in a region of one thread the threads
      for (std::int64_t i = 0; i < blocks; ++i) work(i);  // inside would be started anew for every product
      return;
    }
    parallel_tasks(blocks, work);
  }

  template <class T, class F>
  void with_winograd(const ConvGeometry& s, bool packed, const F& f) {
    dispatch_tile<T>(s, packed, [&]<class Tile>(Tile) { f(WinogradConv<T, Tile>(s, pool_)); });
  }

  /// The transformed filter for one pass: packed if it is pinned, else as it comes.
  template <class T, class Conv>
  typename Conv::Filter winograd_filter(const Conv& conv, const Tensor& filter, bool transposed) {
    const auto* w = filter.data<Computed<T>>();
    if (!weights_.is_pinned(filter)) return conv.transformed(w, transposed);
    return {nullptr,
            weights_.get(filter, {WeightCache::Form::planes, transposed, Conv::kPlanes, dtype_of<T>()},
                         [&] { return conv.pack_filter(w, transposed); })};
  }

  /// A pinned weight as a packed k x n matrix, else null; in bf16, which no library multiplies here, every weight.
  template <class T>
  std::shared_ptr<const PackedMatrices<T>> packed_weight(const Tensor& weight,
                                                         const Matrix<Computed<T>>& matrix, std::int64_t k,
                                                         std::int64_t n) {
    const auto make = [&] {
      auto packed = std::make_shared<PackedMatrices<T>>(pool_, 1, k, n);
      packed->pack(0, matrix);
      return std::shared_ptr<const PackedMatrices<T>>(packed);
    };
    if (!weights_.is_pinned(weight)) return std::is_same_v<T, bf16> ? make() : nullptr;
    return weights_.get(weight, {WeightCache::Form::matrix, matrix.transposed, 1, dtype_of<T>()}, make);
  }

  /// c [m, n] = a [m, k] b, with b packed if it can be.
  template <class T>
  static void sum_products(std::int64_t m, const Matrix<T>& a, const Matrix<Computed<T>>& b,
                           const std::shared_ptr<const PackedMatrices<T>>& packed, std::int64_t k,
                           std::int64_t n, Computed<T>* c) {
    if constexpr (!std::is_same_v<T, bf16>) {
      if (!packed || a.transposed) return damc::gemm<T>(m, n, k, a, b, T(0), c, n);
    }
    damc::gemm<T>(m, a.data, a.ld, 0, *packed, c, n, 0, [](auto...) {});
  }

  /// c [m, n] = act(a [m, k] b + bias), with b packed if it can be.
  template <class T>
  void multiply(std::int64_t m, const Matrix<T>& a, const Matrix<Computed<T>>& b,
                const std::shared_ptr<const PackedMatrices<T>>& packed, std::int64_t k, std::int64_t n,
                const Tensor& bias, const Unary& activation, T* c) {
    if constexpr (std::is_same_v<T, bf16>) {
      multiply_bf16(m, a, *packed, bias, activation, c);
    } else {
      const T* shift = data_or_null<T>(bias);
      if (!shift || !packed || a.transposed) {
        sum_products(m, a, b, packed, k, n, c);
        this->template finish_rows<T>(bias, activation, c, m, n);
        return;
      }
      dispatch_fused<T>(activation, [&](auto f) {
        damc::gemm<T>(
            m, a.data, a.ld, 0, *packed, c, n, 0,
            [&](T* piece, std::int64_t ld, std::int64_t rows, std::int64_t column, std::int64_t columns) {
              const EpilogueBody<T, decltype(f)> body{piece, shift + column, ld, f};
              for (std::int64_t r = 0; r < rows; ++r) {
                const auto row = body.row(r);
#pragma omp simd
                for (std::int64_t j = 0; j < columns; ++j) row(j);
              }
            });
      });
    }
  }

  /// The same in bf16: sums are rounded, bias and activation are f32.
  void multiply_bf16(std::int64_t m, const Matrix<bf16>& a, const PackedMatrices<bf16>& b, const Tensor& bias,
                     const Unary& activation, bf16* c) {
    const Scratch<float> zeros(pool_, bias.defined() ? 0 : b.n());
    if (!bias.defined()) std::fill_n(zeros.data(), b.n(), 0.0f);
    const float* shift = bias.defined() ? bias.data<float>() : zeros.data();
    dispatch_fused<float>(activation, [&](auto f) {
      gemm_pieces<bf16>(m, a.data, a.ld, 0, b,
                        [&](const float* piece, std::int64_t ld, std::int64_t, std::int64_t first,
                            std::int64_t rows, std::int64_t column, auto columns) {
                          for (std::int64_t r = 0; r < rows; ++r) {
                            const float* sums = piece + r * ld;
                            bf16* to = c + (first + r) * b.n() + column;
                            const auto put = [&](std::int64_t j) {
                              to[j] = bf16(f.f(bf16(sums[j]) + shift[column + j]));
                            };
#pragma omp simd
                            for (std::int64_t j = 0; j < columns; ++j) put(j);
                          }
                        });
    });
  }

  HostPool pool_;

 protected:
  WeightCache weights_;
};

}  // namespace

namespace DAMC_CPU_VARIANT {

std::unique_ptr<Backend> make_cpu_kernels() { return std::make_unique<EmulatedProducts<CpuBackend>>(); }

#ifdef DAMC_CPU_TILES
bool tiles_compute() { return tiles_agree<AmxTiles>(); }
#endif

}  // namespace DAMC_CPU_VARIANT

}  // namespace damc
