/// A GPU against the CPU: every operation in f32 on the device and in f64 on the CPU, gradients by finite
/// differences on the device, the same noise, the same bits at every run, and learning and resuming across
/// devices. Needs a build with CUDA and a machine with a GPU; without them every case is skipped, and the first
/// line of the output says why. With --rehearsed a device of host memory takes the GPU's place: it computes as the CPU
/// does, so that a case which fails there would fail on any GPU.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <exception>

#include "autograd/checks/op_cases.h"
#include "autograd/gradcheck.h"
#include "damc/precision_errors.h"
#include "nn/layers.h"
#include "optim/adam.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/record.h"
#include "tensor/staging.h"
#include "tensor/watch/trace.h"
#include "tests/guarded_backend.h"
#include "tests/tiny_training.h"
#include "tests/worse.h"

using namespace damc;

namespace {

constexpr Device gpu{DeviceType::cuda, 0};

/// Whether the device answers. tests/CMakeLists.txt knows the words by which a test counts as skipped.
bool device_answers() {
  try {
    Tensor::zeros({1}, Dtype::f32, gpu)
        .item();  // whatever it is: what is wrong there is for the cases to find
    return true;
  } catch (const std::exception& error) {
    const std::string what = error.what();
    fmt::print("skipped, nothing was tested: {}\n", what.substr(0, what.find('\n')));
    return false;
  }
}

/// |got - wanted|^2 / |wanted|^2, not a number if got is not.
double nmse(const Tensor& got, const Tensor& wanted) {
  const double error = relative_error(got, wanted);
  return error * error;
}

bool same(const OpResult& a, const OpResult& b) {
  return same(a.value, b.value) &&
         std::equal(a.gradients.begin(), a.gradients.end(), b.gradients.begin(), b.gradients.end(),
                    [](const Tensor& x, const Tensor& y) { return same(x, y); });
}

/// Layers of a trained network's kind, sized so that large kernels are chosen: the table's rows are small.
std::vector<OpCase> large_cases() {
  static const Unary leaky{UnaryOp::leaky_relu, 0.2}, tanh{UnaryOp::tanh};
  const auto conv = [](std::int64_t stride, std::int64_t padding) {
    return [=](const Variables& v) { return conv2d(v[0], v[1], v[2], {stride, padding}, {leaky}); };
  };
  const auto transposed = [](std::int64_t stride, std::int64_t padding, const Unary& activation) {
    return [=](const Variables& v) {
      return conv_transpose2d(v[0], v[1], v[2], {stride, padding}, {activation});
    };
  };
  const auto draw = [](const Shape& shape, double size) { return Draw{shape, size / 3.0, size, 0}; };
  const Draw image{{16, 16, 16, 64}, 0.5, 1.5};
  return {
      {"conv2d", "large", {image, draw({128, 4, 4, 64}, 2e-3), draw({128}, 0.5)}, conv(2, 1)},
      {"conv2d", "large 3x3", {image, draw({64, 3, 3, 64}, 3e-3), draw({64}, 0.5)}, conv(1, 1)},
      {"conv2d",
       "from colours",
       {{{16, 32, 32, 3}, 0.5, 1.5}, draw({64, 3, 3, 3}, 0.05), draw({64}, 0.5)},
       conv(1, 1)},
      {"conv_transpose2d",
       "large",
       {image, draw({64, 4, 4, 32}, 5e-3), {{32}, 0.1, 0.5}},
       transposed(2, 1, {})},
      {"conv_transpose2d",
       "to colours",
       {image, draw({64, 4, 4, 3}, 5e-3), {{3}, 0.1, 0.5}},
       transposed(2, 1, tanh)},
      {"conv_transpose2d",
       "from one pixel",
       {{{64, 1, 1, 100}}, draw({100, 4, 4, 128}, 0.05), {{128}}},
       transposed(1, 0, {})},
      {"linear",
       "large",
       {{{200, 1000}, 0.5, 1.5}, draw({300, 1000}, 2e-3), draw({300}, 0.5)},
       [](const Variables& v) { return linear(v[0], v[1], v[2], {leaky}); }},
      {"instance_norm",
       "large",
       {{{8, 32, 32, 64}}, {{64}, 0.5, 1.0}, {{64}, -0.5, 0.5}},
       [](const Variables& v) { return instance_norm(v[0], v[1], v[2]); }},
      {"sum", "long", {{{3, 200000}, 0.5, 1.0}}, [](const Variables& v) { return sum(v[0], 1); }},
      {"sum", "wide", {{{300, 3000}, 0.5, 1.0}}, [](const Variables& v) { return sum(v[0], 0); }},
      {"mean", "all", {{{1000, 1000}, 0.5, 1.0}}, [](const Variables& v) { return mean(square(v[0])); }},
  };
}

std::vector<OpCase> all_cases() {
  std::vector<OpCase> rows = op_cases();
  for (OpCase& row : large_cases()) rows.push_back(std::move(row));
  return rows;
}

Config narrow(const std::string& device) {
  ConfigBuilder builder("mnist-quick");
  for (const auto& [key, value] : {std::pair{"ngf", "2"},
                                   {"nif", "2"},
                                   {"batch", "4"},
                                   {"q_updates", "2"},
                                   {"posterior_steps", "3"},
                                   {"prior_steps", "3"},
                                   {"diffusion_steps", "5"},
                                   {"ema_every", "1"},
                                   {"device", device.c_str()}})
    builder.set(key, value);
  return builder.finish();
}

/// The largest difference, relative to the larger of the two numbers.
double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = worse(largest, std::abs(a[i] - b[i]) / std::max({std::abs(a[i]), std::abs(b[i]), 1e-3}));
  }
  return largest;
}

}  // namespace

TEST_CASE("parity: f32 on the device, f64 on the CPU") {
  double worst = 0.0;
  for (const OpCase& row : all_cases()) {
    CAPTURE(row.name());
    const OpResult got = evaluate(row, make_inputs(row, Dtype::f32, gpu)),
                   wanted = evaluate(row, make_inputs(row, Dtype::f64));
    CHECK(got.value.device() == gpu);
    CHECK(got.value.dtype() == Dtype::f32);
    const auto check = [&](const Tensor& a, const Tensor& b) {
      const double error = nmse(a, b);
      CHECK(error < 1e-10);
      worst = worse(worst, error);
    };
    check(got.value, wanted.value);
    for (std::size_t k = 0; k < wanted.gradients.size(); ++k) check(got.gradients[k], wanted.gradients[k]);
  }
  MESSAGE("largest NMSE: ", worst);
}

TEST_CASE("parity: f64 on both") {
  for (const OpCase& row : op_cases()) {
    CAPTURE(row.name());
    const OpResult got = evaluate(row, make_inputs(row, Dtype::f64, gpu)),
                   wanted = evaluate(row, make_inputs(row, Dtype::f64));
    CHECK(nmse(got.value, wanted.value) < 1e-24);
    for (std::size_t k = 0; k < wanted.gradients.size(); ++k)
      CHECK(nmse(got.gradients[k], wanted.gradients[k]) < 1e-24);
  }
}

TEST_CASE("networks and chains in every precision against f64") {
  for (const auto& [precision, rounding] :
       {std::pair{"fp32", 0x1p-24}, {"tf32", 0x1p-11}, {"bf16", 0x1p-8}}) {
    Config config = narrow("cuda");
    config.diffusion_steps =
        preset_config("mnist-quick").diffusion_steps;  // the fewer, the more a step's error grows
    config.precision = parse_precision(precision);
    for (const PrecisionError& e : precision_errors(config, 4)) {
      MESSAGE(std::string(precision), " ", e.part, ": ", e.value, ", gradients ", e.gradients);
      CHECK(e.value < 20.0 * rounding);  // limits as in test_precision.cpp
      CHECK(e.gradients < 80.0 * rounding);
    }
  }
}

TEST_CASE("gradients against finite differences on the device, in f64") {
  for (const OpCase& row : op_cases()) {
    const GradcheckResult result = gradcheck(row.f, make_inputs(row, Dtype::f64, gpu));
    CHECK_MESSAGE(result.ok, row.name(), ": ", result.message);
  }
}

TEST_CASE("determinism: a second run gives the same bits") {
  for (const OpCase& row : all_cases()) {
    CAPTURE(row.name());
    CHECK(same(evaluate(row, make_inputs(row, Dtype::f32, gpu)),
               evaluate(row, make_inputs(row, Dtype::f32, gpu))));
  }
  Session first(narrow("cuda:0")), second(narrow("cuda:0"));
  first.iterate(0, 3);
  second.iterate(0, 3);
  CHECK(first.numbers == second.numbers);
}

TEST_CASE("images and filters cut out of others, at any address, and batches of none") {
  const Tensor stack = Generator(1).normal({4, 5, 5, 1}), w = Generator(2).normal({5, 3, 3, 1});
  const Tensor there = stack.to(gpu), filter = w.to(gpu);  // an image is 100 bytes: addresses of every kind
  for (std::int64_t i = 0; i < 4; ++i) {
    const Tensor one = stack.narrow(0, i, 1),
                 wanted = conv2d(one.to(Dtype::f64), w.to(Dtype::f64), {}, {1, 1});
    CHECK(nmse(conv2d(there.narrow(0, i, 1), filter, {}, {1, 1}), wanted) < 1e-10);
  }
  CHECK(nmse(conv2d(there, filter.narrow(0, 1, 3), {}, {1, 1}),
             conv2d(stack.to(Dtype::f64), w.narrow(0, 1, 3).to(Dtype::f64), {}, {1, 1})) < 1e-10);
  const ConvGeometry none = conv_geometry({0, 5, 5, 1}, w.shape(), {1, 1});
  const Tensor no_image = Tensor::empty(none.in_shape(), Dtype::f32, gpu);
  const Tensor no_output = conv2d_forward(none, no_image, filter);
  CHECK(no_output.shape() == none.out_shape());
  CHECK(sum_squares(conv2d_grad_w(none, no_output, no_image)).item() == 0.0);
}

TEST_CASE("bf16 images and matrices cut out of others, at any address") {
  const Tensor stack = Generator(1).normal({4, 5, 5, 1}).to(Dtype::bf16),
               w = Generator(2).normal({5, 3, 3, 1});
  const Tensor there = stack.to(gpu), filter = w.to(gpu);
  for (std::int64_t i = 0; i < 4; ++i) {
    const Tensor wanted = conv2d(stack.narrow(0, i, 1).to(Dtype::f64), w.to(Dtype::f64), {}, {1, 1});
    CHECK(nmse(conv2d(there.narrow(0, i, 1), filter, {}, {1, 1}), wanted) < 1e-4);
  }
  const Tensor x = Generator(3).normal({8, 13}), m = Generator(4).normal({7, 13}),
               b = Generator(5).normal({9});
  for (std::int64_t i = 0; i < 3; ++i) {  // a product with a bias: its operands' addresses are of every kind
    const auto on = [&](const Tensor& t, std::int64_t n) { return t.to(gpu).narrow(0, i, n); };
    const auto exact = [&](const Tensor& t, std::int64_t n) { return t.narrow(0, i, n).to(Dtype::f64); };
    CHECK(nmse(linear(on(x, 5), on(m, 4), on(b, 4)), linear(exact(x, 5), exact(m, 4), exact(b, 4))) < 1e-10);
  }
}

TEST_CASE("a convolution whose columns are made for some images at a time") {
  const ConvGeometry s = conv_geometry({30, 64, 64, 1}, {2, 16, 16, 1}, {1, 0});
  const auto draw = [](std::uint64_t seed, const Shape& shape) { return Generator(seed).normal(shape); };
  const Tensor x = draw(1, s.in_shape()), w = draw(2, s.filter_shape()), g = draw(3, s.out_shape());
  const auto exact = [](const Tensor& t) { return t.to(Dtype::f64); };
  CHECK(nmse(conv2d_forward(s, x.to(gpu), w.to(gpu)), conv2d_forward(s, exact(x), exact(w))) < 1e-10);
  CHECK(nmse(conv2d_grad_x(s, g.to(gpu), w.to(gpu)), conv2d_grad_x(s, exact(g), exact(w))) < 1e-10);
}

TEST_CASE("another device that is used before every kernel changes nothing") {
  constexpr Device other{DeviceType::cuda, 1};
  try {
    Tensor::zeros({1}, Dtype::f32, other);
  } catch (const Error&) {
    MESSAGE("there is one device");
    return;
  }
  const Tensor elsewhere = Tensor::zeros({1}, Dtype::f32, other);
  const auto use_other = [&](const char*, const Tensor&, const auto& call) {
    elsewhere.fill(1.0);
    call();
  };
  for (const OpCase& row : op_cases()) {
    CAPTURE(row.name());
    const OpResult wanted = evaluate(row, make_inputs(row, Dtype::f32, gpu));
    const BackendOverride beside(gpu, std::make_unique<ObservedBackend>(backend(gpu), use_other));
    CHECK(same(evaluate(row, make_inputs(row, Dtype::f32, gpu)), wanted));
  }
}

TEST_CASE("noise: the same numbers on both devices, to rounding") {
  for (const std::int64_t n : {1, 6, 1023, 1 << 20}) {
    Generator here(7, 3), there(7, 3, gpu);
    const auto u = here.uniform({n}).to_vector<double>(), u_there = there.uniform({n}).to_vector<double>();
    const auto w = here.normal({n}).to_vector<double>(), w_there = there.normal({n}).to_vector<double>();
    double worst_uniform = 0.0, worst_normal = 0.0;
    for (std::size_t i = 0; i < u.size(); ++i) {
      worst_uniform = worse(worst_uniform, std::abs(u_there[i] - u[i]) / u[i]);
      // A pair of normal numbers is a radius and an angle; the angle's rounding moves both by its share of it.
      const std::size_t other = std::min(i ^ 1, w.size() - 1);
      const double radius = std::max(1.0, std::hypot(w[i], w[other]));
      worst_normal = worse(worst_normal, std::abs(w_there[i] - w[i]) / radius);
    }
    CHECK(worst_uniform <= 1e-6);
    CHECK(worst_normal <= 1e-6);
    CHECK(there.position() == here.position());
  }
}

TEST_CASE("an optimiser's steps follow the CPU's") {
  const auto net = [](Device where) {
    Generator random(1, 0, Device{});
    Init init(random);
    auto layer = std::make_unique<Linear>(300, 70, init);
    for (Variable* v : {&layer->weight, &layer->bias}) *v = Variable(v->value().to(where), true);
    return layer;
  };
  const auto here = net(Device{}), there = net(gpu);
  Adam adam(*here, {.weight_decay = 0.01}), adam_there(*there, {.weight_decay = 0.01});
  for (std::uint64_t step = 0; step < 5; ++step) {
    const std::vector<Tensor> g{Generator(10 + step).normal({70, 300}), Generator(20 + step).normal({70})};
    const std::vector<Tensor> g_there{g[0].to(gpu), g[1].to(gpu)};
    adam.step(g, global_norm(g), 1e-2, 5.0);
    adam_there.step(g_there, global_norm(g_there), 1e-2, 5.0);
  }
  CHECK(nmse(there->weight.value(), here->weight.value()) < 1e-10);
  CHECK(nmse(there->bias.value(), here->bias.value()) < 1e-10);
}

TEST_CASE("iterations of Algorithm 1 follow the CPU's, and go on from its state, in both directions") {
  for (const bool to_gpu : {true, false}) {
    const std::string first = to_gpu ? "cpu" : "cuda:0", second = to_gpu ? "cuda:0" : "cpu";
    Session whole(narrow(first)), resumed(narrow(second));
    whole.iterate(0, 2);
    resumed.load(whole.state());
    const StateDict moved = resumed.state();
    for (const auto& [key, value] : whole.state()) {
      const std::string name = key;
      CAPTURE(name);
      CHECK(same(value, moved.at(name)));
    }
    whole.numbers.clear();
    whole.iterate(2, 2);
    resumed.iterate(2, 2);
    const double difference = largest_difference(resumed.numbers, whole.numbers);
    CHECK(difference < 1e-2);
    MESSAGE(second, " after ", first, ": largest relative difference of a logged number ", difference);
  }
}

TEST_CASE("recorded steps give the bits of the same kernels started one by one") {
  Session recorded(narrow("cuda:0"));
  recorded.iterate(0, 6);
  const StateDict state = recorded.state();
  // Under an observer nothing is recorded.
  const BackendOverride observer(
      gpu, std::make_unique<ObservedBackend>(backend(gpu),
                                             [](const char*, const Tensor&, const auto& call) { call(); }));
  Session eager(narrow("cuda:0"));
  eager.iterate(0, 6);
  CHECK(recorded.numbers == eager.numbers);
  for (const auto& [key, value] : eager.state()) {
    const std::string name = key;
    CAPTURE(name);
    if (value.dtype() != Dtype::i64) CHECK(same(value, state.at(name)));
  }
}

TEST_CASE("a graph keeps its memory, draws new noise at every replay and ends with its step") {
  const std::size_t before = backend(gpu).bytes_in_use();
  {
    Generator random(5, 0, gpu), same_stream(5, 0, gpu);
    Captured step("noise", {"a"}, gpu,
                  [&](const Tensors& in) { return Tensors{add(mul(in[0], 2.0), random.normal({1000}))}; });
    for (int k = 0; k < 8; ++k) {
      const Tensor y = step({Tensor::full({1000}, k, Dtype::f32, gpu)})[0];
      const Tensor other = Tensor::full({1000}, 7.0, Dtype::f32, gpu);  // must not lie in the graph's memory
      const Tensor wanted = add(Tensor::full({1000}, 2.0 * k, Dtype::f32, gpu), same_stream.normal({1000}));
      CHECK(same(y, wanted));
      CHECK(sum(other).item() == 7000.0);
    }
    CHECK(random.position() == same_stream.position());
  }
  CHECK(backend(gpu).bytes_in_use() == before);
}

TEST_SUITE_BEGIN("recording");

TEST_CASE("a step that fails while it is recorded leaves the device as it was, and can be recorded again") {
  int calls = 0;
  Captured step("failing", {"a"}, gpu, [&](const Tensors& in) {
    const Tensor twice = mul(in[0], 2.0);
    if (++calls == kCallsUntilRecorded) throw Error("no more");
    return Tensors{twice};
  });
  for (int k = 1; k <= 6; ++k) {
    const Tensor a = Tensor::full({1000}, k, Dtype::f32, gpu);
    if (k == kCallsUntilRecorded) {
      CHECK_THROWS_WITH(step({a}), "no more");
    } else {
      CHECK(sum(step({a})[0]).item() == 2000.0 * k);
    }
  }
  CHECK(calls == kCallsUntilRecorded + 1);
}

TEST_CASE(
    "a request for too much memory is refused and leaves the device as it was, in a recorded step, too") {
  const Shape huge{std::int64_t{1} << 38};  // a TiB
  CHECK_THROWS_AS(Tensor::empty(huge, Dtype::f32, gpu), OutOfMemory);
  CHECK(Tensor::full({1000}, 3.0, Dtype::f32, gpu).to_vector<float>() == std::vector<float>(1000, 3.0f));
  int calls = 0;
  Captured step("greedy", {"a"}, gpu, [&](const Tensors& in) {
    return Tensors{++calls == kCallsUntilRecorded ? Tensor::empty(huge, Dtype::f32, gpu) : mul(in[0], 2.0)};
  });
  const Tensor a = Tensor::full({1000}, 4.0, Dtype::f32, gpu);
  for (int k = 1; k < kCallsUntilRecorded; ++k) step({a});
  CHECK_THROWS_AS(step({a}), OutOfMemory);
  CHECK(sum(step({a})[0]).item() == 8000.0);
}

TEST_SUITE_END();

TEST_CASE("batches that are copied beside the work arrive whole and in turn") {
  constexpr std::int64_t n = 1 << 20;
  const Tensor targets[2] = {Tensor::empty({n}, Dtype::f32, gpu), Tensor::empty({n}, Dtype::f32, gpu)};
  const auto staging = make_staging(gpu, static_cast<std::size_t>(n) * sizeof(float));
  const auto load = [&](int k) {
    std::fill_n(static_cast<float*>(staging->host()), n, static_cast<float>(k));
    staging->send(targets[k % 2].raw());
  };
  std::vector<Tensor> sums;
  load(0);
  for (int k = 0; k < 20; ++k) {
    staging->arrive();
    Tensor work = targets[k % 2].clone();
    for (int i = 0; i < 20; ++i) work = mul(work, 1.0);  // the next batch comes while this is busy
    sums.push_back(sum(add(work, targets[k % 2])));
    if (k < 19) load(k + 1);
  }
  for (int k = 0; k < 20; ++k)
    CHECK(sums[static_cast<std::size_t>(k)].item() == 2.0 * k * static_cast<double>(n));
}

TEST_CASE("a convolution with one output pixel in bf16: sums are f32 in every pass") {
  const ConvGeometry s = conv_geometry({32, 4, 4, 64}, {96, 4, 4, 64}, {1, 0});
  const auto draw = [](std::uint64_t seed, const Shape& shape) {
    return Generator(seed).normal(shape).to(Dtype::bf16).to(Dtype::f32);
  };
  const Tensor x = draw(1, s.in_shape()), w = draw(2, s.filter_shape()), g = draw(3, s.out_shape());
  const auto there = [](const Tensor& t) { return t.to(Dtype::bf16).to(gpu); };
  const auto exact = [](const Tensor& t) { return t.to(Dtype::f64); };
  constexpr double stored = 0x1p-16;  // the square of a unit in bf16's last place
  CHECK(nmse(conv2d_forward(s, there(x), w.to(gpu)), conv2d_forward(s, exact(x), exact(w))) < stored);
  CHECK(nmse(conv2d_grad_x(s, there(g), w.to(gpu)), conv2d_grad_x(s, exact(g), exact(w))) < stored);
  CHECK(nmse(conv2d_grad_w(s, there(g), there(x)), conv2d_grad_w(s, exact(g), exact(x))) < 1e-10);
}

// The device is asked here and not by a decorator of the cases: those are worked out before main, when the kernels of
// the backend may not be registered with the CUDA runtime yet.
int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  if (argc > 1 && std::string(argv[1]) == "--rehearsed") {
    const GuardedDevice in_its_place;
    return context.run();
  }
  return device_answers() ? context.run() : 0;
}
