#include "tensor/cuda/blas_lt.h"

#include <algorithm>

#include "tensor/cuda/check.h"
#include "tensor/error.h"

namespace damc {
namespace {

std::string describe(const LtProduct& p, Dtype dtype) {
  const auto operand = [](const LtProduct::Layout& layout, bool transposed) {
    return fmt::format("{}x{} (ld {}{})", layout.rows, layout.cols, layout.ld,
                       transposed ? ", transposed" : "");
  };
  return fmt::format("{} product of {} and {} with a bias, column-major", name(dtype),
                     operand(p.A, p.transposed_a), operand(p.B, p.transposed_b));
}

}  // namespace

LtDescriptors::LtDescriptors(const LtProduct& product, Dtype dtype, MatmulPrecision precision) {
  const std::string what = describe(product, dtype);
  const cudaDataType_t type = dtype == Dtype::f32 ? CUDA_R_32F : CUDA_R_64F;
  const auto layout = [&](const LtProduct::Layout& l) {
    cublasLtMatrixLayout_t made = nullptr;
    check_cublas(cublasLtMatrixLayoutCreate(&made, type, l.rows, l.cols, l.ld), what);
    return Layout(made);
  };
  A_ = layout(product.A);
  B_ = layout(product.B);
  D_ = layout(product.D);
  cublasLtMatmulDesc_t made = nullptr;
  check_cublas(cublasLtMatmulDescCreate(&made, compute_type(dtype, precision), type), what);
  operation_.reset(made);
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute, auto value) {
    check_cublas(cublasLtMatmulDescSetAttribute(made, attribute, &value, sizeof value), what);
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, product.transposed_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_TRANSB, product.transposed_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
}

void LtDescriptors::set_bias(const void* bias) {
  check_cublas(
      cublasLtMatmulDescSetAttribute(operation(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias),
      "cublasLtMatmulDescSetAttribute");
}

BlasLt::BlasLt(cudaStream_t stream, void* workspace, std::size_t workspace_bytes)
    : stream_(stream), workspace_(workspace), workspace_bytes_(workspace_bytes) {
  check_cublas(cublasLtCreate(&handle_), "cublasLtCreate");
}

BlasLt::~BlasLt() { cublasLtDestroy(handle_); }

bool BlasLt::multiply(const GemmCall& call, const Tensor& bias, MatmulPrecision precision) {
  const std::tuple key{bias.dtype(), precision, lt_product(call, bias.raw())};
  auto found = plans_.find(key);
  if (found == plans_.end())
    found = plans_.emplace(key, make_plan(std::get<LtProduct>(key), bias, precision)).first;
  Plan& plan = found->second;
  if (!plan.algorithm) return false;
  LtDescriptors& d = plan.descriptors;
  d.set_bias(bias.raw());
  const float one_f = 1.0f, zero_f = 0.0f;
  const double one_d = 1.0, zero_d = 0.0;
  const bool f32 = bias.dtype() == Dtype::f32;
  check_cublas(
      cublasLtMatmul(handle_, d.operation(), f32 ? static_cast<const void*>(&one_f) : &one_d, call.A.data,
                     d.A(), call.B.data, d.B(), f32 ? static_cast<const void*>(&zero_f) : &zero_d, call.C,
                     d.D(), call.C, d.D(), &*plan.algorithm, workspace_, workspace_bytes_, stream_),
      plan.what);
  return true;
}

BlasLt::Plan BlasLt::make_plan(const LtProduct& product, const Tensor& bias,
                               MatmulPrecision precision) const {
  Plan plan{{product, bias.dtype(), precision}, {}, describe(product, bias.dtype())};
  const LtDescriptors& d = plan.descriptors;
  plan.descriptors.set_bias(bias.raw());  // the heuristic looks at its alignment
  cublasLtMatmulPreferenceOpaque_t preference;
  check_cublas(cublasLtMatmulPreferenceInit(&preference), plan.what);
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    check_cublas(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value),
                 plan.what);
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{workspace_bytes_});
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, std::uint32_t{product.alignment_a});
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, std::uint32_t{product.alignment_b});
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, std::uint32_t{product.alignment_d});
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, std::uint32_t{product.alignment_d});
  cublasLtMatmulHeuristicResult_t result{};
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle_, d.operation(), d.A(), d.B(), d.D(),
                                                               d.D(), &preference, 1, &result, &count);
  // Whatever the reason of a refusal: cuBLAS then takes the product, and has its own say on an error.
  if (status == CUBLAS_STATUS_SUCCESS && count > 0 && result.state == CUBLAS_STATUS_SUCCESS)
    plan.algorithm = result.algo;
  return plan;
}

}  // namespace damc
