/// Decompositions of matrices in double precision on the CPU by LAPACK, by the names of torch.linalg. Operands are f64
/// of any strides. All throw Error for another type, device or shape, a number that is not finite, or when the
/// iteration does not converge.
#pragma once

#include "tensor/tensor.h"

namespace damc {

struct Eigh {
  Tensor values;   ///< [n], ascending
  Tensor vectors;  ///< [n, n], one in each column: a = vectors diag(values) vectors^T
};

/// Eigenvalues and eigenvectors of a symmetric a [n, n], of which one triangle is read.
Eigh eigh(const Tensor& a);
/// Singular values of a [m, n], descending: [min(m, n)].
Tensor svdvals(const Tensor& a);

}  // namespace damc
