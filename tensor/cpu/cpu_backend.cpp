#include "tensor/cpu/cpu_backend.h"

#include <cstring>

#include "tensor/cpu/conv.h"
#include "tensor/cpu/executor.h"
#include "tensor/cpu/filter_cache.h"
#include "tensor/cpu/gemm.h"
#include "tensor/cpu/parallel.h"
#include "tensor/cpu/pool.h"
#include "tensor/cpu/winograd.h"
#include "tensor/error.h"
#include "tensor/shared_kernels.h"

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

class CpuBackend final : public SharedKernels<CpuExecutor> {
 public:
  void* allocate(std::size_t bytes) override { return pool_.allocate(bytes); }
  void release(void* block, std::size_t bytes) override { pool_.release(block, bytes); }
  void copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind) override {
    if (bytes) std::memcpy(to, from, bytes);
  }
  void synchronize() override {}
  std::size_t bytes_in_use() const override { return pool_.bytes_in_use(); }
  std::size_t bytes_reserved() const override { return pool_.bytes_reserved(); }
  void hold_filters() override { filters_.hold(); }
  void release_filters() override { filters_.release(); }

  void gemm(const Tensor& a, const Tensor& b, const Epilogue& epilogue, const Tensor& out) override {
    dispatch_float(out.dtype(), [&]<class T>(T) {
      const std::int64_t m = out.size(-2), n = out.size(-1), k = a.size(-1);
      const std::int64_t batches = out.ndim() == 3 ? out.size(0) : 1;
      for (std::int64_t i = 0; i < batches; ++i) {
        damc::gemm<T>(m, n, k, as_matrix<T>(a, i), as_matrix<T>(b, i), T(0), out.data<T>() + i * m * n, n);
      }
      apply_epilogue<T>(epilogue, out.data<T>(), batches * m, n);
    });
  }

  /// y [pixels, Cout] = columns(x) [pixels, kH kW Cin] filter^T
  void conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Epilogue& epilogue,
              const Tensor& out) override {
    dispatch_float(out.dtype(), [&]<class T>(T) {
      const T* bias = epilogue.bias ? epilogue.bias->data<T>() : nullptr;
      if (winograd_fits(s)) {
        with_winograd<T>(s, [&](const auto& conv) {
          const auto u = prepared(conv, filter);
          dispatch_activation<T>(epilogue.activation, [&](auto activation) {
            conv.forward(x.data<T>(), *u, bias, activation, out.data<T>());
          });
        });
        return;
      }
      const std::int64_t pixels = s.out_h * s.out_w, depth = s.taps() * s.in_c;
      for_image_blocks(s, [&](std::int64_t first, std::int64_t count) {
        const bool direct = s.is_gemm();
        const Scratch<T> columns(pool_, direct ? 0 : count * pixels * depth);
        if (!direct) im2col(s, x.data<T>(), first, count, columns.data());
        T* y = out.data<T>() + first * pixels * s.out_c;
        damc::gemm<T>(count * pixels, s.out_c, depth,
                      {direct ? x.data<T>() + first * depth : columns.data(), depth},
                      {filter.data<T>(), depth, true}, T(0), y, s.out_c);
        apply_epilogue<T>(epilogue, y, count * pixels, s.out_c);
      });
    });
  }

  /// columns [pixels, kH kW Cin] = g [pixels, Cout] filter; each input pixel sums its entries.
  void conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Epilogue& epilogue,
                     const Tensor& out) override {
    dispatch_float(out.dtype(), [&]<class T>(T) {
      const std::int64_t pixels = s.out_h * s.out_w, depth = s.taps() * s.in_c;
      const T* bias = epilogue.bias ? epilogue.bias->data<T>() : nullptr;
      if (winograd_fits(s)) {
        with_winograd<T>(s, [&](const auto& conv) {
          const auto u = prepared(conv, filter);
          dispatch_activation<T>(epilogue.activation, [&](auto activation) {
            conv.grad_x(g.data<T>(), *u, bias, activation, out.data<T>());
          });
        });
        return;
      }
      for_image_blocks(s, [&](std::int64_t first, std::int64_t count) {
        const T* y = g.data<T>() + first * pixels * s.out_c;
        const bool direct = s.is_gemm();
        const Scratch<T> columns(pool_, direct ? 0 : count * pixels * depth);
        T* target = direct ? out.data<T>() + first * depth : columns.data();
        damc::gemm<T>(count * pixels, depth, s.out_c, {y, s.out_c}, {filter.data<T>(), depth}, T(0), target,
                      depth);
        if (direct) {
          apply_epilogue<T>(epilogue, target, count * s.taps(), s.in_c);
        } else {
          dispatch_activation<T>(epilogue.activation, [&](auto activation) {
            col2im(s, columns.data(), first, count, bias, activation, out.data<T>());
          });
        }
      });
    });
  }

  /// out [Cout, kH kW Cin] = sum over pixels of g^T columns(x). Blocks of images add up; a small filter gives
  /// products too small for threads, so there the batch is cut in parts whose sums add up in the end.
  void conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x, const Tensor& out) override {
    dispatch_float(out.dtype(), [&]<class T>(T) {
      if (winograd_fits(s)) {
        with_winograd<T>(s, [&](const auto& conv) { conv.grad_w(g.data<T>(), x.data<T>(), out.data<T>()); });
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

  /// Cuts the batch into blocks of images, each thread taking whole blocks; with fewer blocks than threads
  /// the threads work inside the blocks instead (OpenMP and OpenBLAS run a nested region on one thread), and
  /// so they do where the convolution is one product, or every thread would read the whole filter.
  template <class F>
  static void for_image_blocks(const ConvGeometry& s, F&& f) {
    const std::int64_t pixels = s.out_h * s.out_w;
    const std::int64_t threads = omp_in_parallel() ? 1 : omp_get_max_threads();
    const std::int64_t most = (s.n + threads - 1) / threads;
    const std::int64_t block =
        s.is_gemm() ? std::max<std::int64_t>(1, s.n)
                    : std::clamp<std::int64_t>(kBlockRows / pixels, 1, std::max<std::int64_t>(1, most));
    const std::int64_t blocks = (s.n + block - 1) / block;
    const auto work = [&](std::int64_t i) { f(i * block, std::min(block, s.n - i * block)); };
    if (blocks < threads || threads == 1) {  // not by an if clause: in a region of one thread the threads
      for (std::int64_t i = 0; i < blocks; ++i) work(i);  // inside would be started anew for every product
      return;
    }
    parallel_tasks(blocks, work);
  }

  template <class T, class F>
  void with_winograd(const ConvGeometry& s, const F& f) {
    dispatch_tile(s, [&]<class Tile>(Tile) { f(WinogradConv<T, Tile>(s, pool_)); });
  }

  template <class Conv>
  auto prepared(const Conv& conv, const Tensor& filter) {
    return filters_.get(filter, Conv::m, [&] { return conv.prepare_filter(filter); });
  }

  HostPool pool_;
  FilterCache filters_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend() { return std::make_unique<CpuBackend>(); }

std::string cpu_summary() {
  return fmt::format("{} threads; {}, kernels for {}", omp_get_max_threads(), openblas_get_config(),
                     openblas_get_corename());
}

}  // namespace damc
