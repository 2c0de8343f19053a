/// The engine on a device whose memory the host cannot touch (guarded_backend.h): every operation and a
/// training iteration of every preset run there as they would on a GPU, and give the CPU's bits.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>

#include "autograd/checks/op_cases.h"
#include "autograd/grad.h"
#include "damc/checkpoint.h"
#include "damc/metrics/inference.h"
#include "damc/run_folder.h"
#include "damc/toy/toy.h"
#include "damc/toy/two_sample.h"
#include "nn/layers.h"
#include "optim/ema.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/guarded_backend.h"
#include "tests/tiny_training.h"

using namespace damc;

namespace {

constexpr Device gpu = GuardedDevice::device;

/// The signal that ends a process which does `deed`, or 0 when it survives.
int fate(const std::function<void()>& deed) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    std::signal(SIGSEGV, SIG_DFL);
    deed();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace

TEST_CASE("the guard works: the host can neither read nor write the device's memory") {
  const GuardedDevice device;
  const Tensor t = Tensor::full({3}, 2.0, Dtype::f32, gpu);
  float* data = t.data<float>();
  CHECK(fate([&] { static_cast<void>(*const_cast<volatile float*>(data)); }) == SIGSEGV);
  CHECK(fate([&] { *const_cast<volatile float*>(data) = 1.0f; }) == SIGSEGV);
  CHECK(fate([&] { backend(Device{}).fill(1.0, t); }) == SIGSEGV);  // the CPU's kernels are no better
  CHECK(fate([&] { static_cast<void>(t.to_vector<float>()); }) == 0);
  CHECK(fate([&] { static_cast<void>(*const_cast<volatile float*>(t.to(Device{}).data<float>())); }) == 0);
  // A kernel is no freer: one that takes a repeated element for 4096 of them leaves its operand's page.
  const Tensor one = Tensor::zeros({1, 1, 1}, Dtype::f32, gpu), out = Tensor::empty({1, 1}, Dtype::f32, gpu);
  CHECK(fate([&] { backend(gpu).sum(one, out); }) == 0);
  CHECK(fate([&] { backend(gpu).sum(one.expand({1, 4096, 1}), out); }) == SIGSEGV);
  CHECK(add(t, t).to_vector<float>() == std::vector<float>{4.0f, 4.0f, 4.0f});
  CHECK(fate([&] { static_cast<void>(*const_cast<volatile float*>(data)); }) == SIGSEGV);
}

TEST_CASE("the guard works: kernels refuse operands on the host, copies those on the wrong side") {
  const GuardedDevice device;
  Backend& on = backend(gpu);
  const Tensor there = Tensor::zeros({2}, Dtype::f32, gpu), here = Tensor::zeros({2});
  const Tensor state = Tensor::from(std::vector<std::int64_t>{1, 0}, {2});
  const RandomSlice slice{state, 0, 0};
  CHECK_THROWS_WITH_AS(on.copy(here, there), "guarded device: operand 1 of copy, shape [2], is on cpu",
                       Error);
  CHECK_THROWS_AS(on.fill(0.0, here), Error);
  CHECK_THROWS_AS(on.binary(BinaryOp::add, there, here, there), Error);
  CHECK_THROWS_AS(on.normal(slice, there), Error);
  CHECK_THROWS_AS(on.noisy_update(there, there, {1.0, 1.0, 1.0}, slice), Error);
  CHECK_THROWS_AS(on.copy_bytes(here.raw(), here.raw(), 8, CopyKind::host_to_device), Error);
  CHECK_THROWS_AS(on.copy_bytes(there.raw(), here.raw(), 8, CopyKind::device_to_host), Error);
  CHECK_THROWS_AS(on.copy_bytes(there.raw(), there.raw(), 8, CopyKind::host_to_device), Error);
}

TEST_CASE("new memory is not zero, and none is lost") {
  const GuardedDevice device;
  const std::size_t before = backend(gpu).bytes_in_use();
  {
    const Tensor t = Tensor::empty({5}, Dtype::f64, gpu);
    for (const double value : t.to_vector<double>()) CHECK(std::isnan(value));
    CHECK(backend(gpu).bytes_in_use() >= before + 40);
  }
  CHECK(backend(gpu).bytes_in_use() == before);
}

TEST_CASE("a device that only an override supplies disappears with it") {
  { const GuardedDevice device; }
  { const GuardedDevice again; }
  const Device other{DeviceType::cuda, 7};
  const BackendOverride made(other, std::make_unique<GuardedBackend>());
  CHECK(backend(other).bytes_in_use() == 0);

  const GuardedDevice first;  // and from one device to another the way is through the host
  const Tensor x = Generator(1).normal({3, 4});
  CHECK(same(x.to(gpu).transpose(0, 1).to(other), x.transpose(0, 1)));
}

TEST_CASE("copies of any type and layout, there and back") {
  const GuardedDevice device;
  const Tensor x = Generator(1).normal({3, 4, 5});
  for (const Tensor& view :
       {x, x.permute({2, 0, 1}), x.narrow(1, 1, 2), x.narrow(0, 1, 1).expand({2, 4, 5})}) {
    CHECK(same(view.to(gpu), view));
    CHECK(same(view.to(gpu).to(Device{}), view));
    CHECK(same(view.to(gpu).to(Dtype::f64), view.to(Dtype::f64)));
    const Tensor target = Tensor::empty(view.shape(), Dtype::f64, gpu);
    target.copy_from(view);
    CHECK(same(target, view.to(Dtype::f64)));
  }
  const Tensor moved = x.to(gpu);
  CHECK(same(moved.permute({2, 0, 1}).to(Device{}), x.permute({2, 0, 1})));
  CHECK(same(moved.transpose(0, 1).reshape({-1}), x.transpose(0, 1).reshape({-1})));
  CHECK(moved.narrow(0, 1, 1).narrow(1, 1, 1).narrow(2, 3, 1).item() == x.to_vector<double>()[28]);
  const Tensor whole = Tensor::from(std::vector<std::int64_t>{1, -2, 3}, {3});
  CHECK(same(whole.to(gpu), whole));
  CHECK(same(whole.to(gpu).narrow(0, 1, 2).clone(), whole.narrow(0, 1, 2)));
  CHECK(Tensor::empty({0, 3}, Dtype::f32, gpu).to(Device{}).to_vector<float>().empty());
}

TEST_CASE("every operation, forward and backward, gives the CPU's bits") {
  const GuardedDevice device;
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const OpCase& row : op_cases()) {
      CAPTURE(row.name());
      const OpResult wanted = evaluate(row, make_inputs(row, dtype)),
                     got = evaluate(row, make_inputs(row, dtype, gpu));
      CHECK(got.value.device() == gpu);
      CHECK(same(got.value, wanted.value));
      for (std::size_t k = 0; k < wanted.gradients.size(); ++k) {
        CHECK(got.gradients[k].device() == gpu);
        CHECK(same(got.gradients[k], wanted.gradients[k]));
      }
    }
  }
}

TEST_CASE("operands on two devices are an error, not a crash") {
  const GuardedDevice device;
  const Tensor x = Generator(1).normal({2, 4}), w = Generator(2).normal({3, 4});
  CHECK_THROWS_WITH_AS(add(x, x.to(gpu)), doctest::Contains("one tensor on cpu, one on cuda:0"), Error);
  CHECK_THROWS_AS(linear(x.to(gpu), w.to(gpu), Tensor::zeros({3})), Error);
  CHECK_THROWS_AS(matmul(x, w.to(gpu).transpose(0, 1)), Error);
  CHECK_THROWS_AS(cat(std::vector<Tensor>{x, x.to(gpu)}, 0), Error);
  const Tensor image = Generator(3).normal({1, 4, 4, 2}, Dtype::f32).to(gpu), ones = Tensor::full({2}, 1.0);
  CHECK_THROWS_AS(conv2d(image, Generator(4).normal({3, 3, 3, 2}), {}, {1, 1}), Error);
  CHECK_THROWS_AS(instance_norm(image, ones, ones), Error);
  CHECK_THROWS_AS(instance_norm(image, ones.to(gpu), ones), Error);
  const Variable leaf(x.to(gpu), true);
  CHECK_THROWS_AS(grad(square(leaf), {leaf}, x), Error);
}

TEST_CASE("optimisers and averages: parameters on the device, and errors for what is not") {
  const GuardedDevice device;
  const auto net = [](std::uint64_t seed, Device where) {
    Generator random(seed, 0, where);
    Init init(random);
    return std::make_unique<Linear>(4, 3, init);
  };
  const auto here = net(1, Device{}), there = net(1, gpu), source = net(2, gpu), foreign = net(2, Device{});
  Adam adam(*here, {.weight_decay = 0.01}), adam_there(*there, {.weight_decay = 0.01});
  for (std::uint64_t step = 0; step < 3; ++step) {
    const std::vector<Tensor> g{Generator(10 + step).normal({3, 4}), Generator(20 + step).normal({3})};
    const std::vector<Tensor> g_there{g[0].to(gpu), g[1].to(gpu)};
    adam.step(g, global_norm(g), 1e-2, 0.5);
    adam_there.step(g_there, global_norm(g_there), 1e-2, 0.5);
    CHECK_THROWS_AS(adam_there.step(g, global_norm(g_there), 1e-2, 0.5), Error);
    CHECK_THROWS_AS(adam_there.step(g_there, global_norm(g), 1e-2, 0.5), Error);
  }
  CHECK(same(there->state_dict(), here->state_dict()));
  CHECK(same(adam_there.state_dict(""), adam.state_dict("")));

  CHECK_THROWS_AS(ema_update(*there, *foreign, 0.3), Error);
  ema_update(*there, *source, 0.3);
  ema_update(*here, *foreign, 0.3);
  CHECK(same(there->state_dict(), here->state_dict()));
}

TEST_CASE("noise is the same on every device and continues from any position") {
  const GuardedDevice device;
  Generator here(3, 5), there(3, 5, gpu);
  for (const Shape& shape : {Shape{1}, Shape{7}, Shape{33, 65}}) {
    CHECK(same(there.normal(shape), here.normal(shape)));
    CHECK(same(there.uniform(shape, Dtype::f64), here.uniform(shape, Dtype::f64)));
    CHECK(there.position() == here.position());
  }
  Generator later(3, 5, gpu);
  later.set_position(here.position());
  CHECK(same(later.normal({9}), here.normal({9})));
}

TEST_CASE("training, sampling and inference of every preset give the CPU's bits") {
  const GuardedDevice device;
  for (const std::string& preset : model_preset_names()) {
    CAPTURE(preset);
    Session here(tiny(preset, "cpu")), there(tiny(preset, "cuda:0"));
    CHECK(there.model.device == gpu);
    here.iterate(0);
    there.iterate(0);
    CHECK(there.numbers == here.numbers);
    CHECK(same(there.state(), here.state()));

    const Model &a = here.model, &b = there.model;
    Generator random_a(4), random_b(4, 0, gpu);
    CHECK(same(b.draw("lebm", 3, random_b), a.draw("lebm", 3, random_a)));
    const Tensor z_a = a.Q->sample_prior(3, random_a), z_b = b.Q->sample_prior(3, random_b);
    CHECK(same(z_b, z_a));
    CHECK(same(b.G.forward(z_b).value(), a.G.forward(z_a).value()));
    const Tensor x = pictures(a.config, 2, Device{});
    CHECK(same(b.infer(x.to(gpu), random_b), a.infer(x, random_a)));
  }
}

TEST_CASE("the sampler's variants: null token, guidance, one observation for many samples") {
  const GuardedDevice device;
  const auto draw = [](const std::string& where) {
    Config c = tiny("mnist-quick", where);
    c.uncond = Unconditional::null;
    c.guidance = 0.5;
    c.split_losses = false;
    Session session(c);
    session.iterate(0);
    Generator random(6, 0, session.model.device);
    const Tensor z = session.model.Q->sample(pictures(c, 1, session.model.device), 4, random);
    return std::pair{session.numbers, z.to(Device{})};
  };
  const auto here = draw("cpu"), there = draw("cuda:0");
  CHECK(there.first == here.first);
  CHECK(same(there.second, here.second));
}

TEST_CASE("the toy learns, samples and is measured on the device") {
  const GuardedDevice device;
  const auto numbers = [](Device where) {
    Toy toy({.batch = 9,
             .posterior_steps = 3,
             .long_run_steps = 3,
             .diffusion_steps = 4,
             .width = 0.1,
             .device = where});
    CHECK(toy.observation().device() == where);
    std::vector<double> found;
    for (int k = 0; k < 11; ++k) found.push_back(toy.iterate());  // the target sampler moves after 10
    const Tensor x = toy.new_observations(5), samples = toy.sample(x), chains = toy.long_run(x);
    for (const Tensor& t : {toy.observation(), x, samples, chains, toy.exact(x, {.size = 6})}) {
      for (const double value : t.to_vector<double>()) found.push_back(value);
    }
    found.push_back(toy.reconstruction_error(samples, x));
    found.push_back(energy_distance(samples, chains));
    found.push_back(sum(kernel_density(samples, {.size = 6})).item());
    return found;
  };
  CHECK(numbers(gpu) == numbers(Device{}));
}

TEST_CASE("evaluation reads images from the host and computes on the device") {
  const GuardedDevice device;
  Images images;
  images.n = 3;
  images.height = images.width = 28;
  images.channels = 1;
  std::vector<std::uint8_t> pixels(3 * 28 * 28);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 37 % 256);
  images.pixels = pixels;
  const Model here(tiny("mnist-quick", "cpu")), there(tiny("mnist-quick", "cuda:0"));
  const Inference a = infer_all(here, images), b = infer_all(there, images);
  CHECK(b.squared_error == a.squared_error);
  CHECK(b.prior == a.prior);
}

TEST_CASE("a run goes on where it stood on another device, through a file") {
  const GuardedDevice device;
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("damc-test-guarded-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  for (const bool to_gpu : {true, false}) {
    const std::string first = to_gpu ? "cpu" : "cuda:0", second = to_gpu ? "cuda:0" : "cpu";
    Session whole(tiny("mnist-quick", first)), resumed(tiny("mnist-quick", second));
    whole.iterate(0);
    whole.iterate(1);
    save_state(folder, whole.model, whole.method,
               {.iterations = 2, .images_seen = 4, .rollbacks = 0, .data = ""});
    load_state(read_state(folder, 2), resumed.model, resumed.method);
    CHECK(same(resumed.state(), whole.state()));
    whole.numbers.clear();
    whole.iterate(2);
    resumed.iterate(2);
    CHECK(resumed.numbers == whole.numbers);
    CHECK(same(resumed.state(), whole.state()));

    save_model(folder, whole.model, {.iterations = 3, .images_seen = 6, .rollbacks = 0, .data = ""});
    const Run run{folder, whole.model.config, 3, folder / "model-000003.safetensors"};
    CHECK(same(load_model(run, second)->state_dict(), whole.model.state_dict()));
  }
  std::filesystem::remove_all(folder);
}
