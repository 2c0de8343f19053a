/// tf32 and bf16: the conversion itself, operations on bf16 against f64, products of rounded operands, and the
/// errors of networks, chains and training. Without a GPU tf32 is the CPU's emulation.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "autograd/checks/op_cases.h"
#include "autograd/grad.h"
#include "damc/method.h"
#include "damc/precision_errors.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/watch/trace.h"
#include "tests/worse.h"

using namespace damc;

namespace {

constexpr double kUlp = 1.0 / 128.0;  // from 1 to the next bf16

float from_bits(std::uint32_t bits) { return std::bit_cast<float>(bits); }

/// Numbers that bf16 holds, as f32.
Tensor on_grid(const Tensor& t) { return t.to(Dtype::bf16).to(Dtype::f32); }

/// The value and all gradients of sum(y c), c random with digits that bf16 holds.
std::vector<Tensor> pass(const OpCase& row, const std::vector<Tensor>& inputs) {
  Variables leaves;
  for (const Tensor& input : inputs) leaves.emplace_back(input, true);
  const Variable y = row.f(leaves);
  std::vector<Tensor> results = grad(y, leaves, on_grid(Generator(5).normal(y.shape())).to(y.dtype()));
  results.insert(results.begin(), y.value());
  return results;
}

Config small(const std::string& preset, const std::string& precision) {
  ConfigBuilder builder(preset);
  builder.set("precision", precision);
  builder.set("nemb", "64");
  for (const char* width : {"ngf", "nif"}) builder.set(width, "8");
  if (preset == "svhn") builder.set("nz", "16");
  return builder.finish();
}

}  // namespace

TEST_CASE("every bf16 number survives the way to f32 and f64 and back") {
  std::vector<bf16> all(1 << 16);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].bits = static_cast<std::uint16_t>(i);
  const Tensor t = Tensor::from(all, {1 << 16});
  const auto narrow = t.to(Dtype::f32).to_vector<float>();
  const auto back = t.to(Dtype::f32).to(Dtype::bf16).to_vector<bf16>();
  const auto far_back = t.to(Dtype::f64).to(Dtype::bf16).to_vector<bf16>();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool nan = (i & 0x7FFF) > 0x7F80;
    REQUIRE(std::isnan(narrow[i]) == nan);
    if (!nan) REQUIRE(std::bit_cast<std::uint32_t>(narrow[i]) == static_cast<std::uint32_t>(i) << 16);
    REQUIRE(back[i].bits == (nan ? 0x7FFF : i));
    REQUIRE(far_back[i].bits == back[i].bits);
  }
}

TEST_CASE("f32 to bf16: to nearest, ties to even, over into infinity") {
  const auto bits = [](std::uint32_t f32) { return bf16(from_bits(f32)).bits; };
  for (std::uint32_t upper = 0; upper < 0x7F80; upper += 5) {
    const std::uint32_t first = upper << 16;
    REQUIRE(bits(first | 0x7FFF) == upper);
    REQUIRE(bits(first | 0x8000) == upper + upper % 2);
    REQUIRE(bits(first | 0x8001) == upper + 1);
    REQUIRE(bits(first | 0x80008000) == (0x8000 | (upper + upper % 2)));
  }
  CHECK(bits(0x7F7FFFFF) == 0x7F80);
  CHECK(bits(0x7F800001) == 0x7FFF);
}

TEST_CASE("operations on bf16 against f64, within the rounding of what they store") {
  double worst = 0.0;
  int rows = 0;
  for (const OpCase& row : op_cases()) {
    if (row.op != "conv2d" && row.op != "conv_transpose2d" && row.op != "instance_norm") continue;
    CAPTURE(row.name());
    ++rows;
    std::vector<Tensor> inputs = make_inputs(row, Dtype::f32), exact;
    for (std::size_t i = 0; i < 2; ++i) inputs[i] = on_grid(inputs[i]);  // image; filter or weight
    for (const Tensor& input : inputs) exact.push_back(input.to(Dtype::f64));
    inputs[0] = inputs[0].to(Dtype::bf16);
    const std::vector<Tensor> got = pass(row, inputs), wanted = pass(row, exact);
    // A tanh that is stored in bf16 leaves few digits of its derivative 1 - y^2; see damc/nets/networks.h.
    const bool tanh = row.variant.find("tanh") != std::string::npos;
    for (std::size_t i = 0; i < (tanh ? 1 : got.size()); ++i) {
      CAPTURE(i);
      // The value and the image's gradient are stored in bf16, those of parameters are sums in f32.
      CHECK(got[i].dtype() == (i < 2 ? Dtype::bf16 : Dtype::f32));
      const double error = relative_error(got[i], wanted[i]);
      CHECK(error < kUlp);
      worst = worse(worst, error);
    }
  }
  CHECK(rows > 20);
  CHECK(worst > 1e-4);  // bf16 it was
  MESSAGE("largest relative error: ", worst);
}

TEST_CASE("sums of bf16 are f32, operations without a kernel for it say so") {
  const Tensor ones = Tensor::full({3, 5000}, 1.0, Dtype::bf16);
  CHECK(sum(ones).dtype() == Dtype::f32);
  CHECK(sum(ones).item() == 15000.0);
  CHECK(sum(ones, 1).to_vector<float>() == std::vector<float>(3, 5000.0f));
  CHECK(sum_squares(mul(sum(ones, 0), 1.0)).item() == 45000.0);
  CHECK_THROWS_WITH_AS(add(ones, ones), doctest::Contains("bf16"), Error);
  CHECK_THROWS_WITH_AS(matmul(ones, ones.transpose(0, 1)), doctest::Contains("bf16"), Error);
  CHECK_THROWS_WITH_AS(exp(ones), doctest::Contains("bf16"), Error);
  CHECK_THROWS_WITH_AS(unary_vjp({UnaryOp::silu}, ones, ones, ones), doctest::Contains("bf16"), Error);
  const Tensor x = Tensor::zeros({1, 4, 4, 2}, Dtype::bf16),
               filter = Tensor::zeros({3, 3, 3, 2}, Dtype::bf16);
  CHECK_THROWS_WITH_AS(conv2d(x, filter, {}, {1, 1}), doctest::Contains("types bf16 and bf16"), Error);
}

TEST_CASE("gradients of sums and repeats of bf16 are bf16, and go on through what made it") {
  const Variable x(on_grid(Generator(1).normal({2, 4, 4, 3})).to(Dtype::bf16), true);
  const Variable filter(on_grid(Generator(2).normal({5, 3, 3, 3})), true);
  const Variable wide_x(x.value().to(Dtype::f32), true);
  const auto gradients = [&](const Variable& images, const auto& reduce) {
    return grad(reduce(conv2d(images, filter, {}, {1, 1})), {images, filter});
  };
  const auto check = [&](const auto& reduce) {
    const std::vector<Tensor> found = gradients(x, reduce), wanted = gradients(wide_x, reduce);
    CHECK(found[0].dtype() == Dtype::bf16);
    CHECK(found[1].dtype() == Dtype::f32);
    for (std::size_t i = 0; i < 2; ++i) CHECK(relative_error(found[i], wanted[i]) < kUlp);
  };
  check([](const Variable& y) { return sum(y); });
  check([](const Variable& y) { return sum(sum(y, {1, 2}, true) * 0.5); });
  check([](const Variable& y) { return sum(mean(y, 0)); });
  check([](const Variable& y) { return sum(sum_to(y, {5})); });
  check([](const Variable& y) { return sum(upsample(y, {2, 3})); });
}

TEST_CASE("a pinned filter is rounded to bf16 once and gives the same numbers") {
  Generator random(3);
  const Tensor x = random.normal({2, 8, 8, 32}).to(Dtype::bf16), filter = random.normal({32, 3, 3, 32});
  const auto bits = [&] {
    std::vector<std::uint16_t> all;
    for (const bf16 value : conv2d(x, filter, {}, {1, 1}).to_vector<bf16>()) all.push_back(value.bits);
    return all;
  };
  const auto free = bits();
  const PinnedWeights pinned({filter});
  CHECK(bits() == free);
  CHECK(bits() == free);
}

TEST_CASE("a pinned filter is not taken for a part of it that was rounded before") {
  Generator random(3);
  const Tensor image = random.normal({2, 8, 8, 3}), filter = random.normal({4, 3, 3, 3});
  const ProductOptions tf32{.precision = MatmulPrecision::tf32};
  for (const auto& [x, product] : {std::pair{image, tf32}, {image.to(Dtype::bf16), ProductOptions{}}}) {
    const ConvOptions apart{.padding = 1, .dilation = 2};
    const Tensor alone = conv2d(x, filter, {}, apart, product);
    const PinnedWeights pinned({filter});
    conv2d(x, filter.narrow(0, 0, 2), {}, apart, product);
    CHECK(conv2d(x, filter, {}, apart, product).to_vector<double>() == alone.to_vector<double>());
  }
}

TEST_CASE("tf32: operands of 11 digits, where it is asked for, on f32 alone") {
  // 1 + 2^-11 lies between two numbers of tf32 and rounds away from 0; 1 + 2^-12 rounds to 1.
  const Tensor a =
      Tensor::from(std::vector<float>{1.0f + 0x1p-11f, 1.0f + 0x1p-12f, -1.0f - 0x1p-11f}, {3, 1});
  const Tensor one = Tensor::full({1, 1}, 1.0);
  constexpr MatmulPrecision tf32 = MatmulPrecision::tf32;
  const auto product = [&](Dtype dtype, MatmulPrecision precision) {
    return matmul(a.to(dtype), one.to(dtype), precision).to_vector<double>();
  };
  const std::vector<double> exact{1.0 + 0x1p-11, 1.0 + 0x1p-12, -1.0 - 0x1p-11};
  CHECK(product(Dtype::f32, MatmulPrecision::f32) == exact);
  CHECK(product(Dtype::f32, tf32) == std::vector<double>{1.0 + 0x1p-10, 1.0, -1.0 - 0x1p-10});
  CHECK(product(Dtype::f64, tf32) == exact);
  for (const double value : {std::numeric_limits<double>::infinity(), 0.0, -2.5})
    CHECK(matmul(Tensor::full({1, 1}, value), one, tf32).item() == value);
  CHECK(std::isnan(matmul(Tensor::full({1, 1}, std::nan("")), one, tf32).item()));
  // Convolutions: x and w of 1 + 2^-12 are 1 there.
  const ConvGeometry s = conv_geometry({1, 3, 3, 1}, {1, 3, 3, 1}, {1, 0});
  const Tensor x = Tensor::full(s.in_shape(), 1.0 + 0x1p-12), w = x.clone();
  const Tensor g = Tensor::full(s.out_shape(), 1.0);
  CHECK(conv2d_forward(s, x, w, {}, {{}, tf32}).item() == 9.0);
  CHECK(sum(conv2d_grad_x(s, g, w, {}, {{}, tf32})).item() == 9.0);
  CHECK(sum(conv2d_grad_w(s, g, x, tf32)).item() == 9.0);
  CHECK(conv2d_forward(s, x, w).item() > 9.0);
}

namespace {

/// One iteration of training and samples of both priors: the numbers that come out.
std::vector<double> numbers_of(Model& model, Method& method, std::int64_t k) {
  const std::int64_t size = model.images.size;
  Generator random(9, static_cast<std::uint64_t>(k));
  const Tensor x = affine(random.uniform({2, size, size, model.images.channels}), 2.0, -1.0);
  std::vector<double> all;
  for (const auto& [name, value] : method.iterate(k, x).read()) all.push_back(value);
  for (const Tensor& z : {model.Q->sample(x, random), model.draw("lebm", 2, random)}) {
    for (const double value : z.to_vector<double>()) all.push_back(value);
  }
  return all;
}

/// Notes the precision of every product.
class PrecisionLog final : public ObservedBackend {
 public:
  PrecisionLog(Backend& inner, std::map<MatmulPrecision, int>& seen)
      : ObservedBackend(inner, [](const char*, const Tensor&, const auto& call) { call(); }), seen_(seen) {}
  void gemm(const Tensor& a, const Tensor& b, const Tensor& bias, const ProductOptions& options,
            const Tensor& out) override {
    ++seen_[options.precision];
    ObservedBackend::gemm(a, b, bias, options, out);
  }
  void conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Tensor& bias,
              const ProductOptions& options, const Tensor& out) override {
    ++seen_[options.precision];
    ObservedBackend::conv2d(s, x, filter, bias, options, out);
  }
  void conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Tensor& bias,
                     const ProductOptions& options, const Tensor& out) override {
    ++seen_[options.precision];
    ObservedBackend::conv2d_grad_x(s, g, filter, bias, options, out);
  }
  void conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x, MatmulPrecision precision,
                     const Tensor& out) override {
    ++seen_[precision];
    ObservedBackend::conv2d_grad_w(s, g, x, precision, out);
  }

 private:
  std::map<MatmulPrecision, int>& seen_;
};

}  // namespace

TEST_CASE("models of different precision live side by side, each with the bits it has alone") {
  const std::vector<std::string> all{"fp32", "tf32", "bf16"};
  struct Run {
    explicit Run(const std::string& precision) : model(small("mnist-quick", precision)), method(model) {}
    Model model;
    Method method;
  };
  std::map<std::string, std::vector<double>> alone;
  for (const std::string& precision : all) {
    Run run(precision);
    for (int k = 0; k < 2; ++k)
      for (const double value : numbers_of(run.model, run.method, k)) alone[precision].push_back(value);
  }
  std::map<std::string, std::unique_ptr<Run>> runs;
  for (const std::string& precision : all) runs[precision] = std::make_unique<Run>(precision);
  std::map<std::string, std::vector<double>> together;
  for (int k = 0; k < 2; ++k) {
    for (auto& [precision, run] : runs)
      for (const double value : numbers_of(run->model, run->method, k)) together[precision].push_back(value);
  }
  CHECK(together == alone);
  CHECK(alone["fp32"] != alone["tf32"]);
  CHECK(alone["tf32"] != alone["bf16"]);
}

TEST_CASE("every product of a model, gradients and chains among them, has its precision") {
  for (const std::string precision : {"fp32", "tf32", "bf16"}) {
    CAPTURE(precision);
    std::map<MatmulPrecision, int> seen;
    const BackendOverride watch(Device{}, std::make_unique<PrecisionLog>(backend(Device{}), seen));
    Model model(small("mnist-quick", precision));
    Method method(model);
    numbers_of(model, method, 0);
    CHECK(seen.size() == 1);
    CHECK(seen[products_of(model.config.precision, model.device)] > 1000);
  }
}

TEST_CASE("networks and chains in every precision against f64") {
  // What a format's rounding can do to one number; parts may exceed it by a factor. The denoiser's gradients exceed it
  // most: its Fourier features multiply the error of an angle by 2 pi.
  struct Format {
    std::string precision;
    double rounding;
  };
  for (const std::string preset : {"svhn", "mnist-quick"}) {
    double errors_before = 0.0;
    for (const Format& format : {Format{"fp32", 0x1p-24}, Format{"tf32", 0x1p-11}, Format{"bf16", 0x1p-8}}) {
      double total = 0.0;
      for (const PrecisionError& e : precision_errors(small(preset, format.precision), 2)) {
        const std::string what = preset + " " + format.precision + " " + e.part;
        MESSAGE(what, ": ", e.value, ", gradients ", e.gradients);
        CHECK_MESSAGE(e.value > 0.0, what);
        CHECK_MESSAGE(e.value < 20.0 * format.rounding, what);
        CHECK_MESSAGE(e.gradients < 80.0 * format.rounding, what);
        total += e.value + e.gradients;
      }
      CHECK(total > 1.5 * errors_before);  // each is what it says, not the one before
      errors_before = total;
    }
  }
}

TEST_CASE("training in bf16 follows training in f32") {
  const auto losses = [](const std::string& precision) {
    ConfigBuilder builder("mnist-quick");
    builder.set("precision", precision);
    for (const auto& [key, value] : {std::pair{"ngf", "4"},
                                     {"nif", "4"},
                                     {"nemb", "32"},
                                     {"batch", "8"},
                                     {"posterior_steps", "5"},
                                     {"prior_steps", "10"},
                                     {"diffusion_steps", "10"}})
      builder.set(key, value);
    Model model(builder.finish());
    Method method(model);
    std::vector<double> all;
    for (std::int64_t k = 0; k < 20; ++k) {
      const Tensor x = affine(Generator(9, static_cast<std::uint64_t>(k)).uniform({8, 28, 28, 1}), 2.0, -1.0);
      const Stats s = method.iterate(k, x);
      for (const char* name : {"loss_q", "loss_g", "grad_norm_g", "z_norm"}) all.push_back(s[name]);
    }
    for (const Variable& parameter : model.G.parameters()) CHECK(parameter.dtype() == Dtype::f32);
    return all;
  };
  const std::vector<double> wanted = losses("fp32");
  for (const std::string precision : {"tf32", "bf16"}) {
    const std::vector<double> got = losses(precision);
    double worst = 0.0;
    for (std::size_t i = 0; i < wanted.size(); ++i)
      worst = worse(worst, std::abs(got[i] - wanted[i]) / std::abs(wanted[i]));
    MESSAGE(precision, ": largest relative difference of a loss or norm in 20 iterations ", worst);
    CHECK(worst > 0.0);
    CHECK(worst < 0.1);
  }
}
