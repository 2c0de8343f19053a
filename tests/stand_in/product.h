/// Matrix products as cuBLAS defines them.
#pragma once

#include "tests/stand_in/numbers.h"

namespace stand_in {

/// Column-major, as it is stored: element (i, j) at i + ld j, or transposed where it is used; of a batch each `stride`
/// elements behind the one before.
struct Matrix {
  const void* data;
  cudaDataType_t type;
  bool transposed;
  std::int64_t ld, stride;
};

/// D = alpha op(A) op(B) + beta C, plus a bias for each row of D, each m x n: C is not read if beta is 0.
struct Product {
  std::int64_t m, n, k, batches;
  Matrix A, B, C;
  void* D;
  std::int64_t ldd, stride_d;
  cudaDataType_t type_d;
  bool f64;           // whether sums and factors are f64, else f32
  Rounding rounding;  // of operands
  double alpha, beta;
  const void* bias;  // or null
  cudaDataType_t type_bias;
};

/// Computes it, where its memory can be touched.
void multiply(const Product& product);

/// Bytes from a matrix's first element to the end of its last, stored as rows x cols.
inline std::size_t extent(std::int64_t rows, std::int64_t cols, std::int64_t ld, std::int64_t stride,
                          std::int64_t batches, cudaDataType_t type) {
  return static_cast<std::size_t>((batches - 1) * stride + (cols - 1) * ld + rows) * size_of(type);
}

}  // namespace stand_in
