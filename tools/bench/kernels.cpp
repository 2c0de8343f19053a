#include <set>

#include "autograd/grad.h"
#include "tensor/backend.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tools/bench/suites.h"
#include "tools/bench/work.h"

namespace damc {
namespace {

constexpr std::int64_t kElements = 1 << 22;  // of an elementwise kernel's tensors: more than caches hold

double gigabytes(std::int64_t floats) { return 4e-9 * static_cast<double>(floats); }
double gigaflop(std::int64_t macs) { return 2e-9 * static_cast<double>(macs); }

void bench_linear_layers(BenchReport& report, const Config& config, std::int64_t batch) {
  Generator random(1, 0, report.device());
  const ProductOptions plain{{}, products_of(report.precision(), report.device())};
  const Model model(config);
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  const auto visitor = [&](const std::string&, const Variable& parameter) {
    const Tensor& w = parameter.value();
    if (w.ndim() != 2 || !seen.emplace(w.size(0), w.size(1)).second) return;
    const Tensor x = random.normal({batch, w.size(1)});
    const auto measure = [&](const char* name) {
      report.measure({.suite = "kernels",
                      .name = config.preset + name,
                      .part = fmt::format("{}->{}", w.size(1), w.size(0)),
                      .batch = batch,
                      .gflop = gigaflop(batch * w.numel())},
                     [&] { linear(x, w, {}, plain); });
    };
    measure(".linear");
    const PinnedWeights pinned({w});
    measure(".linear_held");
  };
  model.E->visit("", visitor);
  model.Q->denoiser().visit("", visitor);
}

void bench_convolution(BenchReport& report, const std::string& preset, const ConvLayer& layer) {
  const ConvGeometry& s = layer.geometry;
  Generator random(1, 0, report.device());
  const Dtype stored = activations_of(report.precision(), Dtype::f32);
  const Tensor image = random.normal(s.in_shape()).to(stored),
               small = random.normal(s.out_shape()).to(stored);
  const Tensor filter = random.normal(s.filter_shape());
  const auto measure = [&](const char* part, const auto& pass) {
    report.measure({.suite = "kernels",
                    .name = preset + "." + layer.name,
                    .part = part,
                    .batch = s.n,
                    .gflop = gigaflop(s.macs())},
                   pass);
  };
  const ProductOptions plain{{}, products_of(report.precision(), report.device())};
  const auto pull = [&] { conv2d_forward(s, image, filter, {}, plain); };
  const auto push = [&] { conv2d_grad_x(s, small, filter, {}, plain); };
  // A transposed convolution runs a convolution's passes the other way round.
  const auto forward = layer.transposed ? std::function<void()>(push) : pull;
  const auto grad_x = layer.transposed ? std::function<void()>(pull) : push;
  measure("forward", forward);
  measure("grad_x", grad_x);
  measure("grad_w", [&] { conv2d_grad_w(s, small, image, plain.precision); });
  const PinnedWeights pinned({filter});  // as in a chain
  measure("forward_held", forward);
  measure("grad_x_held", grad_x);
}

void bench_instance_norm(BenchReport& report, const std::string& preset, const Shape& shape) {
  Generator random(1, 0, report.device());
  const Variable x(random.normal(shape), true);
  const Variable w(random.normal({shape.back()}), true), b(random.normal({shape.back()}), true);
  const Tensor g = random.normal(shape);
  const Unary activation{UnaryOp::leaky_relu, 0.2};
  const auto forward = [&] { return instance_norm(x, w, b, 1e-5, activation); };
  const std::int64_t n = shape.numel();
  const std::string name = preset + ".instance_norm";
  report.measure(
      {.suite = "kernels", .name = name, .part = "forward", .batch = shape[0], .gbytes = gigabytes(3 * n)},
      [&] { forward(); });
  report.measure({.suite = "kernels",
                  .name = name,
                  .part = "forward+backward",
                  .batch = shape[0],
                  .gbytes = gigabytes(8 * n)},
                 [&] {
                   grad(forward(), {x, w, b}, g);
                 });
}

}  // namespace

void bench_common_kernels(BenchReport& report) {
  Generator random(1, 0, report.device());
  const MatmulPrecision precision = products_of(report.precision(), report.device());
  for (const std::int64_t n : {256, 512, 1024, 2048}) {
    const Tensor a = random.normal({n, n}), b = random.normal({n, n});
    report.measure({.suite = "kernels",
                    .name = "gemm",
                    .part = fmt::format("{0}x{0}x{0}", n),
                    .gflop = gigaflop(n * n * n)},
                   [&] { matmul(a, b, precision); });
  }
  const Tensor x = random.normal({kElements}), y = random.normal({kElements}),
               out = random.normal({kElements});
  const Tensor m = Tensor::zeros({kElements}, Dtype::f32, report.device()), v = m.clone();
  const Tensor schedule = Tensor::from(std::vector<double>{1e-3, 0.5, 0.9}, {3}, report.device());
  Backend& on = backend(report.device());
  // `moved` counts the tensors read or written.
  const auto measure = [&](const char* name, const char* part, std::int64_t moved, const auto& kernel) {
    report.measure({.suite = "kernels", .name = name, .part = part, .gbytes = gigabytes(moved * kElements)},
                   kernel);
  };
  measure("elementwise", "leaky_relu", 2, [&] { on.unary({UnaryOp::leaky_relu, 0.2}, x, out); });
  measure("elementwise", "tanh", 2, [&] { on.unary({UnaryOp::tanh}, x, out); });
  measure("elementwise", "silu", 2, [&] { on.unary({UnaryOp::silu}, x, out); });
  measure("elementwise", "add", 3, [&] { on.binary(BinaryOp::add, x, y, out); });
  measure("random", "normal", 1, [&] { on.normal(random.take(kElements), out); });
  const AdamTensors updated{out, x, m, v};
  measure("adam", "step", 7, [&] { on.adam({&updated, 1}, {schedule, {}, 0.0, 0.5, 0.999, 1e-8, 1e-4}); });
  measure("noisy_update", "step", 3, [&] {
    on.noisy_update(out, x, {0.999, -1e-3, 1e-3}, random.take(kElements));
  });
}

void bench_network_kernels(BenchReport& report, const Config& config, std::int64_t batch) {
  const std::int64_t images = batch ? batch : 32;
  bench_linear_layers(report, config, images);
  for (const ConvLayer& layer : generator_layers(config, images))
    bench_convolution(report, config.preset, layer);
  for (const ConvLayer& layer : encoder_layers(config, images))
    bench_convolution(report, config.preset, layer);
  bench_instance_norm(report, config.preset, encoder_layers(config, images)[0].geometry.out_shape());
}

}  // namespace damc
