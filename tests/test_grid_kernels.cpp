/// The shared kernels in the grids and packs of a GPU, run on the host (grid_backend.h), against the CPU's loops: every
/// operation forward and backward, and every kernel on operands of many lengths, well aligned and not.
#include <doctest/doctest.h>

#include <algorithm>

#include "autograd/checks/op_cases.h"
#include "autograd/ops.h"
#include "tensor/random.h"
#include "tests/grid_backend.h"

using namespace damc;

namespace {

/// Compilers fuse multiplications with additions in one loop and not in another, so that the last bits differ; a wrong
/// element shows as an error near 1.
double rounding(Dtype dtype) { return dtype == Dtype::f64 ? 1e-13 : dtype == Dtype::f32 ? 1e-5 : 1e-2; }

/// Makes operands, the same at every run. Each starts `offset` elements behind an aligned address, amid elements that
/// no kernel may touch.
class Made {
 public:
  Made(std::int64_t offset, Dtype dtype) : offset_(offset), dtype_(dtype) {}

  /// Numbers of [0, 1).
  Tensor of(const Shape& shape, Dtype dtype) {
    const std::int64_t n = shape.numel();
    const Tensor whole = Generator(wholes_.size()).uniform({offset_ + n + 16}).to(dtype);
    wholes_.push_back(whole);
    return whole.narrow(0, offset_, n).reshape(shape);
  }
  Tensor of(const Shape& shape) { return of(shape, dtype_); }
  /// Of the type of sums, statistics and parameters.
  Tensor computed(const Shape& shape) { return of(shape, dtype_ == Dtype::bf16 ? Dtype::f32 : dtype_); }

  /// All memory of the operands and around them.
  const std::vector<Tensor>& wholes() const { return wholes_; }

 private:
  std::int64_t offset_;
  Dtype dtype_;
  std::vector<Tensor> wholes_;
};

/// Calls of kernels on operands that they make; N rows of n elements.
using Calls = std::function<void(Backend& on, Made& make, std::int64_t N, std::int64_t n)>;

/// Both backends leave the same numbers in all memory, but for the rounding of their type or a coarser one.
void check_kernels(const std::vector<Dtype>& dtypes, const Calls& calls, Dtype coarser = Dtype::f64) {
  GridBackend grid;
  for (const Dtype dtype : dtypes) {
    const double tolerance = std::max(rounding(dtype), rounding(coarser));
    for (const std::int64_t offset : {0, 1, 8}) {
      for (const std::int64_t N : {1, 3}) {
        for (const std::int64_t n : {1, 3, 4, 7, 8, 9, 16, 24, 1037}) {
          CAPTURE(std::string(name(dtype)));
          CAPTURE(offset);
          CAPTURE(N);
          CAPTURE(n);
          Made wanted(offset, dtype), got(offset, dtype);
          calls(backend(Device{}), wanted, N, n);
          calls(grid, got, N, n);
          for (std::size_t i = 0; i < wanted.wholes().size(); ++i)
            CHECK(relative_error(got.wholes()[i], wanted.wholes()[i]) <= tolerance);
        }
      }
    }
  }
}

const std::vector<Dtype> computed_types{Dtype::f32, Dtype::f64},
    stored_types{Dtype::f32, Dtype::f64, Dtype::bf16};
const Unary leaky{UnaryOp::leaky_relu, 0.2}, bend{UnaryOp::tanh};

}  // namespace

TEST_CASE("every operation, forward and backward, gives the CPU's numbers to rounding") {
  constexpr Device gpu{DeviceType::cuda, 0};
  const BackendOverride device(gpu, std::make_unique<GridBackend>());
  for (const Dtype dtype : computed_types) {
    for (const OpCase& row : op_cases()) {
      CAPTURE(row.name());
      const OpResult wanted = evaluate(row, make_inputs(row, dtype)),
                     got = evaluate(row, make_inputs(row, dtype, gpu));
      CHECK(relative_error(got.value, wanted.value) <= rounding(dtype));
      for (std::size_t k = 0; k < wanted.gradients.size(); ++k)
        CHECK(relative_error(got.gradients[k], wanted.gradients[k]) <= rounding(dtype));
    }
  }
}

TEST_CASE("pointwise kernels") {
  check_kernels(computed_types, [](Backend& on, Made& make, std::int64_t N, std::int64_t n) {
    const Shape shape{N, n};
    on.unary({UnaryOp::silu}, make.of(shape), make.of(shape));
    on.binary(BinaryOp::sub, make.of(shape), make.of(shape), make.of(shape));
    on.binary(BinaryOp::mul, make.of(shape), make.of({1, n}).expand(shape), make.of(shape));
    on.binary(BinaryOp::mul, make.of(shape), make.of({N, 1}).expand(shape), make.of(shape));
    on.binary(BinaryOp::mul, make.of({1, 1}).expand(shape), make.of(shape), make.of(shape));
    on.binary(BinaryOp::add, make.of({n, N}).transpose(0, 1), make.of(shape), make.of(shape));
    on.binary(BinaryOp::add, make.of({N, 2 * n}).narrow(1, n, n), make.of(shape), make.of(shape));
  });
  check_kernels(stored_types, [](Backend& on, Made& make, std::int64_t N, std::int64_t n) {
    const Shape shape{N, n};
    on.fill(0.7, make.of(shape));
    on.fill(0.7, make.of({N, 2 * n}).narrow(1, n, n));
    on.fill(0.7, make.of({n, N}).narrow(1, 0, 1));
    on.copy(make.of(shape), make.of(shape));
    on.copy(make.of({n, N}).transpose(0, 1), make.of(shape));
    on.copy(make.of(shape, Dtype::f64), make.of(shape));
    on.copy(make.of(shape), make.of(shape, Dtype::f32));
    on.copy(make.of(shape), make.of(shape, Dtype::bf16));
    on.unary_vjp(leaky, make.of(shape), make.of(shape), make.of(shape), make.of(shape));
    on.unary_vjp(bend, make.of({1, 1}).expand(shape), make.of(shape), make.of(shape), make.of(shape));
  });
}

TEST_CASE("kernels of networks") {
  check_kernels(computed_types, [](Backend& on, Made& make, std::int64_t N, std::int64_t n) {
    on.gated_sum(make.of({N, 2 * n}), make.of({n}), make.of({N, 2 * n}), bend, make.of({N, n}));
    on.gated_sum(make.of({N, 2 * n}), make.of({n}), make.of({1, 2 * n}), {},
                 make.of({N, 2 * n}).narrow(1, 0, n));
    on.fourier_features(make.of({N, n}), make.of({N, 5}), make.of({N, 2 * n + 5}));
    on.fourier_features_vjp(make.of({N, 2 * n + 4}), make.of({N, 2 * n + 4}), make.of({N, n}));
    for (const PoolOp op : {PoolOp::max, PoolOp::mean}) {
      const Pooling p = pooling(op, {2, N, 5, n}, {.kernel = {1, 3}, .stride = 2, .padding = {0, 1}});
      on.pool2d(p, make.of(p.windows.in_shape()), make.of(p.windows.out_shape()));
      on.pool2d_grad_x(p, make.of(p.windows.out_shape()), make.of(p.windows.in_shape()),
                       make.of(p.windows.out_shape()), make.of(p.windows.in_shape()));
      on.pool2d_select(p, make.of(p.windows.in_shape()), make.of(p.windows.in_shape()),
                       make.of(p.windows.out_shape()));
    }
    const Tensor bias = make.of({n}), a = make.of({N, 3}), b = make.of({3, n});
    on.gemm(a, b, bias, {bend}, make.of({N, n}));
    on.gemm(a, b, {}, {leaky}, make.of({N, n}));
    on.gemm(a, b, bias, {}, make.of({N, n}));
  });
  check_kernels(stored_types, [](Backend& on, Made& make, std::int64_t N, std::int64_t n) {
    const Shape images{2, N, n}, channels{2, n};
    const Tensor x = make.of(images), g = make.of(images), w = make.computed({n}), b = make.computed({n});
    const Tensor mean = make.computed(channels), rstd = make.computed(channels);
    on.instance_norm(x, mean, rstd, w, b, leaky, make.of(images));
    on.instance_norm_grad_x(g, x, mean, rstd, w, make.computed(channels), make.computed(channels),
                            make.of(images));
    on.instance_norm_sums(g, x, mean, rstd, make.computed(channels), make.computed(channels));
    on.instance_norm_stats(x, 0.1, mean, rstd);
    on.sum(x, make.computed(channels));
    on.sum(make.of({N, n, 1}), make.computed({N, 1}));
  });
}

TEST_CASE("noise, which is f32 also where it becomes f64") {
  const auto draw = [](Backend& on, Made& make, std::int64_t N, std::int64_t n) {
    const Shape shape{N, n};
    const Tensor position = Tensor::from(std::vector<std::int64_t>{3, 5}, {2});
    const RandomSlice slice{position, 2, 1};
    on.normal(slice, make.of(shape));
    on.uniform(slice, make.of(shape));
    on.noisy_update(make.of(shape), make.of(shape), {0.9, -0.2, 0.3}, slice);
    on.noisy_update(make.of(shape), make.of(shape), {0.9, -0.2, 0.3}, {});
  };
  check_kernels(computed_types, draw, Dtype::f32);
}

TEST_CASE("updates in place") {
  check_kernels(computed_types, [](Backend& on, Made& make, std::int64_t N, std::int64_t n) {
    const Shape shape{N, n};
    const Tensor schedule = make.of({3}, Dtype::f64), norm = make.of({});
    const auto watch = [](std::int64_t found) {
      return Tensor::from(std::vector<std::int64_t>{7, found, 0}, {3});
    };
    for (const Tensor& seen : {watch(-1), watch(7)}) {
      std::vector<AdamTensors> adam;
      std::vector<LerpTensors> lerp;
      for (const Shape& s : {shape, Shape{5}, shape}) {
        adam.push_back({make.of(s), make.of(s), make.of(s), make.of(s)});
        lerp.push_back({make.of(s), make.of(s)});
      }
      on.adam(adam, {schedule, norm, 0.1, 0.9, 0.99, 1e-8, 0.01, seen});
      on.lerp(lerp, 0.3, seen);
    }
    const std::vector<Tensor> several{make.of(shape), make.of({5})};
    on.sum_squares(several, make.of({}));
  });
}
