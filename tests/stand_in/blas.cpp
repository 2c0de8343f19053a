/// cuBLAS and cublasLt: what a call computes, from its arguments and the descriptors that it was given. Descriptors are
/// the library's own; algorithms are not, and know what they are good for.
#include <cublasLt.h>
#include <cublas_v2.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

#include "tests/stand_in/gpu.h"
#include "tests/stand_in/product.h"

using stand_in::gpu;
using stand_in::Matrix;
using stand_in::Product;
using stand_in::Rounding;

namespace {

struct Blas {
  cudaStream_t stream = nullptr;
  const void* workspace = nullptr;
  std::size_t workspace_bytes = 0;
  bool tf32 = false;
};
std::map<cublasHandle_t, Blas> handles;

/// Whether a library computes so; then what sums are, and what operands are rounded to.
bool arithmetic(cublasComputeType_t compute, Product& p) {
  const bool f64 = p.A.type == CUDA_R_64F, f32 = p.A.type == CUDA_R_32F, bf16 = p.A.type == CUDA_R_16BF;
  const bool same = p.A.type == p.B.type && p.A.type == p.type_d, wider = bf16 && p.type_d == CUDA_R_32F;
  p.f64 = f64;
  switch (compute) {
    case CUBLAS_COMPUTE_64F:
      return f64 && same && p.B.type == p.A.type;
    case CUBLAS_COMPUTE_32F:
    case CUBLAS_COMPUTE_32F_PEDANTIC:
      return ((f32 || bf16) && same) || (wider && p.B.type == p.A.type);
    case CUBLAS_COMPUTE_32F_FAST_TF32:
      p.rounding = Rounding::tf32;
      return f32 && same;
    case CUBLAS_COMPUTE_32F_FAST_16BF:
      p.rounding = Rounding::bf16;
      return f32 && same;
    default:
      return false;
  }
}

double factor(const void* host, bool f64) {
  return f64 ? *static_cast<const double*>(host) : static_cast<double>(*static_cast<const float*>(host));
}

bool well_formed(const Product& p) {
  return std::min({p.m, p.n, p.k, p.batches}) >= 1 && p.A.ld >= (p.A.transposed ? p.k : p.m) &&
         p.B.ld >= (p.B.transposed ? p.n : p.k) && p.ldd >= p.m && p.C.ld >= p.m;
}

/// Its operands are in memory, whole.
void check_operands(const char* call, const Product& p) {
  const auto check = [&](const Matrix& matrix, std::int64_t rows, std::int64_t cols) {
    if (matrix.transposed) std::swap(rows, cols);
    gpu.operand(call, matrix.data,
                stand_in::extent(rows, cols, matrix.ld, matrix.stride, p.batches, matrix.type));
  };
  check(p.A, p.m, p.k);
  check(p.B, p.k, p.n);
  if (p.beta != 0.0) check(p.C, p.m, p.n);
  check({p.D, p.type_d, false, p.ldd, p.stride_d}, p.m, p.n);
  if (p.bias) gpu.operand(call, p.bias, static_cast<std::size_t>(p.m) * stand_in::size_of(p.type_bias));
}

// cublasLt.

template <class T>
T attribute(cublasLtMatmulDesc_t of, cublasLtMatmulDescAttributes_t name) {
  T value{};
  if (cublasLtMatmulDescGetAttribute(of, name, &value, sizeof value, nullptr) != CUBLAS_STATUS_SUCCESS)
    gpu.problem("cublasLtMatmulDescGetAttribute", "a descriptor that is none");
  return value;
}
template <class T>
T attribute(cublasLtMatrixLayout_t of, cublasLtMatrixLayoutAttribute_t name) {
  T value{};
  if (cublasLtMatrixLayoutGetAttribute(of, name, &value, sizeof value, nullptr) != CUBLAS_STATUS_SUCCESS)
    gpu.problem("cublasLtMatrixLayoutGetAttribute", "a layout that is none");
  return value;
}

struct Layout {
  cudaDataType_t type;
  std::int64_t rows, cols, ld, stride;
  int batches, order;
};
Layout read_layout(cublasLtMatrixLayout_t from) {
  return {static_cast<cudaDataType_t>(attribute<std::uint32_t>(from, CUBLASLT_MATRIX_LAYOUT_TYPE)),
          static_cast<std::int64_t>(attribute<std::uint64_t>(from, CUBLASLT_MATRIX_LAYOUT_ROWS)),
          static_cast<std::int64_t>(attribute<std::uint64_t>(from, CUBLASLT_MATRIX_LAYOUT_COLS)),
          attribute<std::int64_t>(from, CUBLASLT_MATRIX_LAYOUT_LD),
          attribute<std::int64_t>(from, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET),
          attribute<std::int32_t>(from, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT),
          attribute<std::int32_t>(from, CUBLASLT_MATRIX_LAYOUT_ORDER)};
}

/// The product that is described, without its data; none where this library computes none such, or it is none.
std::optional<Product> described(cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t of_a,
                                 cublasLtMatrixLayout_t of_b, cublasLtMatrixLayout_t of_c,
                                 cublasLtMatrixLayout_t of_d) {
  const Layout a = read_layout(of_a), b = read_layout(of_b), c = read_layout(of_c), d = read_layout(of_d);
  const auto transposed = [&](cublasLtMatmulDescAttributes_t which) {
    return attribute<std::int32_t>(operation, which) != CUBLAS_OP_N;
  };
  const bool turn_a = transposed(CUBLASLT_MATMUL_DESC_TRANSA),
             turn_b = transposed(CUBLASLT_MATMUL_DESC_TRANSB);
  Product p{};
  p.m = turn_a ? a.cols : a.rows;
  p.k = turn_a ? a.rows : a.cols;
  p.n = turn_b ? b.rows : b.cols;
  p.batches = d.batches;
  p.A = {nullptr, a.type, turn_a, a.ld, a.stride};
  p.B = {nullptr, b.type, turn_b, b.ld, b.stride};
  p.C = {nullptr, c.type, false, c.ld, c.stride};
  p.ldd = d.ld;
  p.stride_d = d.stride;
  p.type_d = d.type;
  const auto compute =
      static_cast<cublasComputeType_t>(attribute<std::int32_t>(operation, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE));
  const auto epilogue = attribute<std::uint32_t>(operation, CUBLASLT_MATMUL_DESC_EPILOGUE);
  if (epilogue == CUBLASLT_EPILOGUE_BIAS) {
    p.bias = attribute<const void*>(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
    p.type_bias = d.type;
  }
  const bool fits = p.k == (turn_b ? b.cols : b.rows) && d.rows == p.m && d.cols == p.n && c.rows == p.m &&
                    c.cols == p.n && c.type == d.type && a.batches == d.batches && b.batches == d.batches;
  const bool plain =
      a.order == CUBLASLT_ORDER_COL && b.order == CUBLASLT_ORDER_COL && d.order == CUBLASLT_ORDER_COL &&
      attribute<std::int32_t>(operation, CUBLASLT_MATMUL_DESC_POINTER_MODE) == CUBLASLT_POINTER_MODE_HOST;
  const bool known = epilogue == CUBLASLT_EPILOGUE_DEFAULT || (epilogue == CUBLASLT_EPILOGUE_BIAS && p.bias);
  if (!fits || !well_formed(p) || !plain || !known || !arithmetic(compute, p)) return {};
  const auto scale = attribute<std::int32_t>(operation, CUBLASLT_MATMUL_DESC_SCALE_TYPE);
  if (scale != (p.f64 ? CUDA_R_64F : CUDA_R_32F)) return {};
  return p;
}

/// What an algorithm was chosen for: the product, and bytes that A, B, C, D and the bias are aligned to.
struct Algorithm {
  std::array<std::int64_t, 16> product;
  std::array<std::uint32_t, 5> alignment;
  std::uint64_t workspace_bytes;
};
std::vector<Algorithm> algorithms;

std::array<std::int64_t, 16> sizes(const Product& p) {
  return {p.m,
          p.n,
          p.k,
          p.batches,
          p.A.ld,
          p.A.stride,
          p.A.type,
          p.A.transposed,
          p.B.ld,
          p.B.type,
          p.B.stride,
          p.B.transposed,
          p.ldd,
          p.type_d,
          static_cast<int>(p.rounding),
          p.bias != nullptr};
}

std::uint32_t alignment_of(const void* address) {
  const auto bits = reinterpret_cast<std::uintptr_t>(address) | 256u;
  return static_cast<std::uint32_t>(bits & (~bits + 1));
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  *handle = gpu.make_handle<cublasHandle_t>();
  handles[*handle] = {};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  return handles.erase(handle), CUBLAS_STATUS_SUCCESS;
}
/// Puts the library's own workspace back.
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  gpu.at_home(__func__, handle);
  gpu.at_home(__func__, stream);
  Blas& blas = handles.at(handle);
  blas.stream = stream;
  blas.workspace = nullptr;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  const int kind = mode & ~CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
  handles.at(handle).tf32 = kind == CUBLAS_TF32_TENSOR_OP_MATH;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* block, std::size_t bytes) {
  gpu.operand(__func__, block, bytes);
  if (alignment_of(block) < 256) return CUBLAS_STATUS_INVALID_VALUE;
  handles.at(handle).workspace = block;
  handles.at(handle).workspace_bytes = bytes;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGemmStridedBatchedEx_64(
    cublasHandle_t handle, cublasOperation_t of_a, cublasOperation_t of_b, std::int64_t m, std::int64_t n,
    std::int64_t k, const void* alpha, const void* A, cudaDataType type_a, std::int64_t ld_a,
    long long stride_a, const void* B, cudaDataType type_b, std::int64_t ld_b, long long stride_b,
    const void* beta, void* C, cudaDataType type_c, std::int64_t ld_c, long long stride_c,
    std::int64_t batches, cublasComputeType_t compute, cublasGemmAlgo_t) {
  ++gpu.products;
  gpu.tf32_products += compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  gpu.at_home(__func__, handle);
  const Blas& blas = handles.at(handle);
  Product p{m,
            n,
            k,
            batches,
            {A, type_a, of_a != CUBLAS_OP_N, ld_a, stride_a},
            {B, type_b, of_b != CUBLAS_OP_N, ld_b, stride_b},
            {C, type_c, false, ld_c, stride_c},
            C,
            ld_c,
            stride_c,
            type_c,
            false,
            Rounding::none,
            0.0,
            0.0,
            nullptr,
            type_c};
  if (!well_formed(p) || !arithmetic(compute, p)) {
    gpu.problem(__func__, "a product that is none");
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (blas.tf32 && type_a == CUDA_R_32F) p.rounding = Rounding::tf32;
  p.alpha = factor(alpha, p.f64);
  p.beta = factor(beta, p.f64);
  check_operands(__func__, p);
  if (blas.workspace) {
    gpu.operand(__func__, blas.workspace, blas.workspace_bytes);
  } else if (gpu.recording()) {
    gpu.problem(__func__, "the library's own workspace in a recorded step");
  }
  gpu.enqueue(__func__, blas.stream, [p] { multiply(p); });
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  return *handle = gpu.make_handle<cublasLtHandle_t>(), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int,
                                              cublasLtMatmulHeuristicResult_t* result, int* count) {
  if (gpu.recording()) gpu.problem(__func__, "a shape that the runs before the recording did not have");
  *count = 0;
  const std::optional<Product> p = described(operation, a, b, c, d);
  if (!p) return CUBLAS_STATUS_NOT_SUPPORTED;
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t name, auto value) {
    cublasLtMatmulPreferenceGetAttribute(preference, name, &value, sizeof value, nullptr);
    return value;
  };
  algorithms.push_back(
      {sizes(*p),
       {prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, std::uint32_t{}),
        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, std::uint32_t{}),
        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, std::uint32_t{}),
        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, std::uint32_t{}), alignment_of(p->bias)},
       prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{})});
  *result = {};
  result->algo.data[0] = algorithms.size();
  result->workspaceSize = algorithms.back().workspace_bytes;
  result->state = CUBLAS_STATUS_SUCCESS;
  return *count = 1, CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, const void* alpha,
                              const void* A, cublasLtMatrixLayout_t of_a, const void* B,
                              cublasLtMatrixLayout_t of_b, const void* beta, const void* C,
                              cublasLtMatrixLayout_t of_c, void* D, cublasLtMatrixLayout_t of_d,
                              const cublasLtMatmulAlgo_t* algo, void* workspace, std::size_t workspace_bytes,
                              cudaStream_t stream) {
  ++gpu.products;
  gpu.at_home(__func__, handle);
  gpu.at_home(__func__, stream);
  std::optional<Product> p = described(operation, of_a, of_b, of_c, of_d);
  const std::uint64_t chosen = algo ? algo->data[0] : 0;
  if (!p || chosen < 1 || chosen > algorithms.size()) {
    gpu.problem(__func__, "a product or algorithm that is none");
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  gpu.tf32_products += p->rounding == Rounding::tf32;
  p->A.data = A;
  p->B.data = B;
  p->C.data = C;
  p->D = D;
  p->alpha = factor(alpha, p->f64);
  p->beta = factor(beta, p->f64);
  const Algorithm& algorithm = algorithms[chosen - 1];
  const std::array<const void*, 5> operands{A, B, C, D, p->bias};
  bool aligned = true;
  for (std::size_t i = 0; i < operands.size(); ++i)
    aligned &= alignment_of(operands[i]) >= algorithm.alignment[i];
  if (algorithm.product != sizes(*p) || !aligned || workspace_bytes < algorithm.workspace_bytes)
    gpu.problem(__func__, "an algorithm that was chosen for another product");
  check_operands(__func__, *p);
  gpu.operand(__func__, workspace, workspace_bytes);
  gpu.enqueue(__func__, stream, [p = *p] { multiply(p); });
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
