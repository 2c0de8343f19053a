/// The CPU: shared kernels over OpenMP and SIMD loops, OpenBLAS products, convolutions by im2col / col2im or Winograd.
/// Compiled once for each variant of processor (variants.h), of which DAMC_CPU_VARIANT is the name.

#include <cstring>

#include "tensor/cpu/conv.h"
#include "tensor/cpu/emulated_products.h"
#include "tensor/cpu/executor.h"
#include "tensor/cpu/gemm.h"
#include "tensor/cpu/grouped_conv.h"
#include "tensor/cpu/packed.h"
#include "tensor/cpu/parallel.h"
#include "tensor/cpu/pool.h"
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

/// Products of f32 and f64 operands; EmulatedProducts adds the others.
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
      const auto pairs = weights_.get(w, {WeightCache::Form::pairs, k, n, true}, [&] {
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
    dispatch_float(out.dtype(), [&]<class T>(T) {
      const T* shift = data_or_null<T>(bias);
      if (!s.is_dense()) {
        GroupedConv<T>(s, pool_).forward(x.data<T>(), filter.data<T>(), out.data<T>());
        finish(bias, options.activation, out);
        return;
      }
      if (winograd_fits(s)) {
        with_winograd<T>(s, weights_.is_pinned(filter), [&](const auto& conv) {
          const auto u = winograd_filter<T>(conv, s, filter, true);
          dispatch_fused<T>(options.activation, [&](auto activation) {
            conv.forward(x.data<T>(), u, shift, activation, out.data<T>());
          });
        });
        return;
      }
      const std::int64_t pixels = s.out_h * s.out_w, depth = s.taps() * s.in_c;
      const Matrix<T> matrix{filter.data<T>(), depth, true};
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
    dispatch_float(out.dtype(), [&]<class T>(T) {
      const T* shift = data_or_null<T>(bias);
      if (!s.is_dense()) {
        GroupedConv<T>(s, pool_).grad_x(g.data<T>(), filter.data<T>(), out.data<T>());
        finish(bias, options.activation, out);
        return;
      }
      if (winograd_fits(s)) {
        with_winograd<T>(s, weights_.is_pinned(filter), [&](const auto& conv) {
          const auto u = winograd_filter<T>(conv, s, filter, false);
          dispatch_fused<T>(options.activation, [&](auto activation) {
            conv.grad_x(g.data<T>(), u, shift, activation, out.data<T>());
          });
        });
        return;
      }
      const std::int64_t pixels = s.out_h * s.out_w, depth = s.taps() * s.in_c;
      const Matrix<T> matrix{filter.data<T>(), depth};
      const auto packed = packed_weight<T>(filter, matrix, s.out_c, depth);
      for_image_blocks(s, [&](std::int64_t first, std::int64_t count) {
        const T* y = g.data<T>() + first * pixels * s.out_c;
        const bool direct = s.is_gemm();
        const Scratch<T> columns(pool_, direct ? 0 : count * pixels * depth);
        T* target = direct ? out.data<T>() + first * depth : columns.data();
        multiply<T>(count * pixels, {y, s.out_c}, matrix, packed, s.out_c, depth, {}, {}, target);
        if (direct) {
          finish_rows<T>(bias, options.activation, target, count * s.taps(), s.in_c);
        } else {
          dispatch_fused<T>(options.activation, [&](auto activation) {
            col2im(s, columns.data(), first, count, shift, activation, out.data<T>());
          });
        }
      });
    });
  }

  /// out [Cout, kH kW Cin] = sum over pixels of g^T columns(x). Blocks of images add up; a small filter gives
  /// products too small for threads, so there the batch is cut in parts whose sums add up in the end.
  void conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x, MatmulPrecision,
                     const Tensor& out) override {
    dispatch_float(out.dtype(), [&]<class T>(T) {
      if (!s.is_dense()) {
        GroupedConv<T>(s, pool_).grad_w(g.data<T>(), x.data<T>(), out.data<T>());
        return;
      }
      if (winograd_fits(s)) {
        with_winograd<T>(s, false,
                         [&](const auto& conv) { conv.grad_w(g.data<T>(), x.data<T>(), out.data<T>()); });
        return;
      }
      const std::int64_t size = out.numel(), parts = size <= kSmallFilter ? std::min(s.n, kParts) : 1;
      if (parts <= 1) {
        grad_w_of_images(s, g.data<T>(), x.data<T>(), 0, s.n, out.data<T>());
        return;
      }
      const Scratch<T> sums(pool_, parts * size);
      parallel_tasks(parts, [&](std::int64_t part) {
        grad_w_of_images(s, g.data<T>(), x.data<T>(), s.n * part / parts, s.n * (part + 1) / parts,
                         sums.data() + part * size);
      });
      for (std::int64_t i = 0; i < size; ++i) {
        T sum = 0;
        for (std::int64_t part = 0; part < parts; ++part) sum += sums.data()[part * size + i];
        out.data<T>()[i] = sum;
      }
    });
  }

 private:
  static constexpr std::int64_t kBlockRows = 512;  // rows of a product that make packing the filter cheap
  static constexpr std::int64_t kColumnBytes = 16ll << 20;  // columns of one weight-gradient product
  static constexpr std::int64_t kSmallFilter = 1ll << 14, kParts = 16;

  /// The weight gradient of images [begin, end).
  template <class T>
  void grad_w_of_images(const ConvGeometry& s, const T* g, const T* x, std::int64_t begin, std::int64_t end,
                        T* out) {
    const std::int64_t pixels = s.out_h * s.out_w, depth = s.taps() * s.in_c;
    const std::int64_t block =
        std::max<std::int64_t>(1, kColumnBytes / (pixels * depth * std::int64_t{sizeof(T)}));
    if (begin == end) std::fill_n(out, s.out_c * depth, T(0));
    for (std::int64_t first = begin; first < end; first += block) {
      const std::int64_t count = std::min(block, end - first);
      const bool direct = s.is_gemm();
      const Scratch<T> columns(pool_, direct ? 0 : count * pixels * depth);
      if (!direct) im2col(s, x, first, count, columns.data());
      damc::gemm<T>(s.out_c, depth, count * pixels, {g + first * pixels * s.out_c, s.out_c, true},
                    {direct ? x + first * depth : columns.data(), depth}, first == begin ? T(0) : T(1), out,
                    depth);
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
  typename Conv::Filter winograd_filter(const Conv& conv, const ConvGeometry& s, const Tensor& filter,
                                        bool transposed) {
    if (!weights_.is_pinned(filter)) return {conv.transform_filter(filter.data<T>()), nullptr};
    return {nullptr,
            weights_.get(filter, {WeightCache::Form::planes, s.in_c, s.out_c, transposed, Conv::kPlanes},
                         [&] { return conv.pack_filter(filter.data<T>(), transposed); })};
  }

  /// A pinned weight as a packed k x n matrix, else null.
  template <class T>
  std::shared_ptr<const PackedMatrices<T>> packed_weight(const Tensor& weight, const Matrix<T>& matrix,
                                                         std::int64_t k, std::int64_t n) {
    if (!weights_.is_pinned(weight)) return nullptr;
    return weights_.get(weight, {WeightCache::Form::matrix, k, n, matrix.transposed}, [&] {
      auto packed = std::make_shared<PackedMatrices<T>>(pool_, 1, k, n);
      packed->pack(0, matrix);
      return std::shared_ptr<const PackedMatrices<T>>(packed);
    });
  }

  /// c [m, n] = act(a [m, k] b + bias), with b packed if it can be.
  template <class T>
  void multiply(std::int64_t m, const Matrix<T>& a, const Matrix<T>& b,
                const std::shared_ptr<const PackedMatrices<T>>& packed, std::int64_t k, std::int64_t n,
                const Tensor& bias, const Unary& activation, T* c) {
    if (!packed || a.transposed) {
      damc::gemm<T>(m, n, k, a, b, T(0), c, n);
      this->template finish_rows<T>(bias, activation, c, m, n);
      return;
    }
    const T* shift = data_or_null<T>(bias);
    dispatch_fused<T>(activation, [&](auto f) {
      damc::gemm<T>(
          m, a.data, a.ld, 0, *packed, c, n, 0,
          [&](T* piece, std::int64_t ld, std::int64_t rows, std::int64_t column, std::int64_t columns) {
            if (!shift) return;
            const EpilogueBody<T, decltype(f)> body{piece, shift + column, ld, f};
            for (std::int64_t r = 0; r < rows; ++r) {
              const auto row = body.row(r);
#pragma omp simd
              for (std::int64_t j = 0; j < columns; ++j) row(j);
            }
          });
    });
    if (!shift) this->template finish_rows<T>({}, activation, c, m, n);
  }

  HostPool pool_;

 protected:
  WeightCache weights_;
};

}  // namespace

namespace DAMC_CPU_VARIANT {

std::unique_ptr<Backend> make_cpu_kernels() { return std::make_unique<EmulatedProducts<CpuBackend>>(); }

}  // namespace DAMC_CPU_VARIANT

}  // namespace damc
