/// The CPU's kernels for several processors (tensor/cpu/variants.h) compute the same: uniform draws to the bit, all else
/// within rounding, values and gradients of every operation to 1e-5 in f32 and 1e-13 in f64 of the largest element. A build
/// for one processor has one variant, which is compared with itself.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "autograd/checks/op_cases.h"
#include "autograd/grad.h"
#include "tensor/backend.h"
#include "tensor/cpu/variants.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/amx_instructions.h"
#include "tests/messages.h"

using namespace damc;

namespace {

/// The value of every row of the table of operations, and gradients for uniform draws, as numbers.
std::vector<std::vector<double>> results(const CpuVariant& variant, Dtype dtype) {
  BackendOverride here(Device{}, variant.make());
  std::vector<std::vector<double>> all;
  const auto add = [&](const Tensor& t) { all.push_back(t.to(Dtype::f64).contiguous().to_vector<double>()); };
  for (const OpCase& row : op_cases()) {
    Variables leaves;
    for (const Tensor& input : make_inputs(row, dtype)) leaves.emplace_back(input, true);
    const Variable y = row.f(leaves);
    add(y.value());
    if (!y.requires_grad()) continue;
    for (const Tensor& gradient : grad(y, leaves, Generator(5).uniform(y.shape(), dtype))) add(gradient);
  }
  return all;
}

/// Uniform and normal draws; both are computed in f32.
std::vector<std::vector<double>> draws(const CpuVariant& variant, Dtype dtype) {
  BackendOverride here(Device{}, variant.make());
  Generator random(3);
  return {random.uniform({1000}, dtype).to(Dtype::f64).to_vector<double>(),
          random.normal({1000}, dtype).to(Dtype::f64).to_vector<double>()};
}

/// The largest difference, relative to the largest number of its tensor.
double difference(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b) {
  double worst = 0.0;
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    double largest = 1e-3, most = 0.0;
    REQUIRE(a[i].size() == b[i].size());
    for (std::size_t j = 0; j < a[i].size(); ++j) {
      largest = std::max(largest, std::fabs(b[i][j]));
      most = std::max(most, std::fabs(a[i][j] - b[i][j]));
    }
    worst = std::max(worst, most / largest);
  }
  return worst;
}

/// All passes of a direct convolution and of one of Winograd's form.
std::vector<std::vector<double>> bf16_passes(const CpuVariant& variant) {
  BackendOverride here(Device{}, variant.make());
  std::vector<std::vector<double>> all;
  for (const std::int64_t kernel : {3, 4}) {
    Generator random(2);
    const ConvGeometry s = conv_geometry({3, 8, 8, 32}, {33, kernel, kernel, 32}, {kernel - 2, 1});
    const Tensor x = random.normal(s.in_shape()).to(Dtype::bf16), w = random.normal(s.filter_shape()),
                 g = random.normal(s.out_shape()).to(Dtype::bf16);
    for (const Tensor& y : {conv2d_forward(s, x, w), conv2d_grad_x(s, g, w), conv2d_grad_w(s, g, x)})
      all.push_back(y.to(Dtype::f64).to_vector<double>());
  }
  return all;
}

}  // namespace

TEST_CASE("all variants compute the same") {
  op_cases();  // its constants belong to the usual backend
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    const CpuVariant& best = chosen_cpu_variant();
    const auto wanted = results(best, dtype), drawn = draws(best, dtype);
    for (const CpuVariant& variant : cpu_variants()) {
      if (!variant.runs()) continue;
      const double found = difference(results(variant, dtype), wanted);
      INFO(variant.name << " and " << best.name << " differ by " << found);
      CHECK(found <= (dtype == Dtype::f32 ? 1e-5 : 1e-13));
      const auto others = draws(variant, dtype);
      CHECK(others[0] == drawn[0]);
      CHECK(difference(others, drawn) <= 1e-6);
    }
  }
}

TEST_CASE("bf16 convolutions of all variants agree within the rounding of what is stored") {
  const auto wanted = bf16_passes(chosen_cpu_variant());
  for (const CpuVariant& variant : cpu_variants()) {
    if (variant.runs()) CHECK(difference(bf16_passes(variant), wanted) <= 0x1p-7);
  }
}

TEST_CASE("so do those by AMX's tiles, whose instructions are emulated where the processor has none") {
  const AmxInstructions instructions;
  const CpuVariant* before = nullptr;  // the same without tiles
  for (const CpuVariant& variant : cpu_variants()) {
    if (variant.name.ends_with("-amx") && before->runs() && instructions.can_run())
      CHECK(difference(bf16_passes(variant), bf16_passes(*before)) <= 0x1p-7);
    before = &variant;
  }
}

TEST_CASE("the best that runs is chosen, or the one asked for") {
  const auto all = cpu_variants();
  std::string_view best;
  for (const CpuVariant& variant : all) {
    if (!variant.runs()) continue;
    best = variant.name;
    setenv("DAMC_CPU_KERNELS", std::string(variant.name).c_str(), 1);
    CHECK(chosen_cpu_variant().name == variant.name);
  }
  unsetenv("DAMC_CPU_KERNELS");
  CHECK(chosen_cpu_variant().name == best);
  setenv("DAMC_CPU_KERNELS", "abacus", 1);
  CHECK(error_of<UserError>([] { chosen_cpu_variant(); }).starts_with("DAMC_CPU_KERNELS=abacus: "));
  unsetenv("DAMC_CPU_KERNELS");
}
