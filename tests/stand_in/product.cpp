#include "tests/stand_in/product.h"

#include <vector>

namespace stand_in {
namespace {

/// Element (i, j) of op(matrix) of one of a batch.
template <class Number>
Number element(const Matrix& matrix, std::int64_t i, std::int64_t j, std::int64_t batch) {
  const std::int64_t at = matrix.transposed ? j + matrix.ld * i : i + matrix.ld * j;
  return load<Number>(matrix.data, matrix.type, batch * matrix.stride + at);
}

/// op(matrix) of one of a batch, rows x cols, rounded, column after column.
template <class Number>
std::vector<Number> pack(const Matrix& matrix, std::int64_t rows, std::int64_t cols, std::int64_t batch,
                         Rounding rounding) {
  std::vector<Number> packed(static_cast<std::size_t>(rows * cols));
  for (std::int64_t j = 0; j < cols; ++j) {
    for (std::int64_t i = 0; i < rows; ++i)
      packed[static_cast<std::size_t>(i + rows * j)] =
          rounded(element<Number>(matrix, i, j, batch), rounding);
  }
  return packed;
}

template <class Number>
void multiply_in(const Product& p) {
  for (std::int64_t batch = 0; batch < p.batches; ++batch) {
    const std::vector<Number> A = pack<Number>(p.A, p.m, p.k, batch, p.rounding),
                              B = pack<Number>(p.B, p.k, p.n, batch, p.rounding);
    std::vector<Number> sums(static_cast<std::size_t>(p.m));
    for (std::int64_t j = 0; j < p.n; ++j) {
      sums.assign(sums.size(), Number(0));
      for (std::int64_t l = 0; l < p.k; ++l) {
        const Number b = B[static_cast<std::size_t>(l + p.k * j)];
        const Number* a = A.data() + p.m * l;
        for (std::int64_t i = 0; i < p.m; ++i) sums[static_cast<std::size_t>(i)] += a[i] * b;
      }
      for (std::int64_t i = 0; i < p.m; ++i) {
        Number d = static_cast<Number>(p.alpha) * sums[static_cast<std::size_t>(i)];
        if (p.beta != 0.0) d += static_cast<Number>(p.beta) * element<Number>(p.C, i, j, batch);
        if (p.bias) d += load<Number>(p.bias, p.type_bias, i);
        store(p.D, p.type_d, batch * p.stride_d + i + p.ldd * j, d);
      }
    }
  }
}

}  // namespace

void multiply(const Product& product) {
  if (product.f64) {
    multiply_in<double>(product);
  } else {
    multiply_in<float>(product);
  }
}

}  // namespace stand_in
