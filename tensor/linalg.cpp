#include "tensor/linalg.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/error.h"

// LAPACK's own names; OpenBLAS holds them and Debian's headers of it do not declare them.
extern "C" {
void dsyevd_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda, double* w,
             double* work, const int* lwork, int* iwork, const int* liwork, int* info);
void dgesdd_(const char* jobz, const int* m, const int* n, double* a, const int* lda, double* s, double* u,
             const int* ldu, double* vt, const int* ldvt, double* work, const int* lwork, int* iwork,
             int* info);
}

namespace damc {
namespace {

/// A contiguous copy for LAPACK to overwrite.
Tensor operand(const char* name, const Tensor& a) {
  ENSURE(a.defined() && a.ndim() == 2 && a.dtype() == Dtype::f64 && a.device() == Device{},
         "{}: takes a matrix of f64 on the CPU", name);
  // The largest whose workspace 32-bit LAPACK can count.
  constexpr std::int64_t largest = 30000;
  ENSURE(a.size(0) <= largest && a.size(1) <= largest,
         "{}: a is {}, at most {} rows and columns are possible", name, a.shape().str(), largest);
  Tensor copy = a.clone();
  const double* values = copy.data<double>();
  ENSURE(std::all_of(values, values + copy.numel(), [](double x) { return std::isfinite(x); }),
         "{}: a {} holds a number that is not finite", name, a.shape().str());
  return copy;
}

}  // namespace

Eigh eigh(const Tensor& a) {
  const Tensor copy = operand("eigh", a);
  ENSURE(a.size(0) == a.size(1), "eigh: a is {}, expected a square matrix", a.shape().str());
  const int n = static_cast<int>(a.size(0)), stride = std::max(n, 1), ask = -1;
  const Tensor values = Tensor::empty({n}, Dtype::f64);
  int info = 0, integers = 0;
  double doubles = 0.0;
  dsyevd_("V", "L", &n, copy.data<double>(), &stride, values.data<double>(), &doubles, &ask, &integers, &ask,
          &info);
  std::vector<double> work(static_cast<std::size_t>(std::max(doubles, 1.0)));
  std::vector<int> iwork(static_cast<std::size_t>(std::max(integers, 1)));
  const int lwork = static_cast<int>(work.size()), liwork = static_cast<int>(iwork.size());
  dsyevd_("V", "L", &n, copy.data<double>(), &stride, values.data<double>(), work.data(), &lwork,
          iwork.data(), &liwork, &info);
  ENSURE(info == 0, "eigh: LAPACK's dsyevd ends with {} for a {}", info, a.shape().str());
  return {values, copy.transpose(0, 1)};  // LAPACK's columns are our rows
}

Tensor svdvals(const Tensor& a) {
  const Tensor copy = operand("svdvals", a);  // in LAPACK's order it is a^T, which has the same values
  const int m = static_cast<int>(a.size(1)), n = static_cast<int>(a.size(0)), least = std::min(m, n);
  const int stride = std::max(m, 1), one = 1;
  Tensor values = Tensor::empty({least}, Dtype::f64);
  std::vector<int> iwork(static_cast<std::size_t>(std::max(8 * least, 1)));
  int info = 0, lwork = -1;
  double size = 0.0;
  dgesdd_("N", &m, &n, copy.data<double>(), &stride, values.data<double>(), nullptr, &one, nullptr, &one,
          &size, &lwork, iwork.data(), &info);
  std::vector<double> work(static_cast<std::size_t>(std::max(size, 1.0)));
  lwork = static_cast<int>(work.size());
  dgesdd_("N", &m, &n, copy.data<double>(), &stride, values.data<double>(), nullptr, &one, nullptr, &one,
          work.data(), &lwork, iwork.data(), &info);
  ENSURE(info == 0, "svdvals: LAPACK's dgesdd ends with {} for a {}", info, a.shape().str());
  return values;
}

}  // namespace damc
