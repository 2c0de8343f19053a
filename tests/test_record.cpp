/// Recorded steps: what a step may do, what it shares with others and what not, and on the rehearsing device
/// (rehearsal_backend.h) that every step of training and sampling issues identical work at every replay and gives
/// the bits that the CPU gives without recording.
#include <doctest/doctest.h>

#include <cmath>

#include "damc/batched.h"
#include "damc/metrics/inference.h"
#include "tensor/cpu/variants.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tests/rehearsal_backend.h"
#include "tests/tiny_training.h"

using namespace damc;

namespace {

constexpr Device gpu = RehearsalDevice::device;

Tensor vector(const std::vector<float>& values, Device device) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, device);
}

/// Calls a step until it is recorded and beyond; the step's input changes with every call.
void repeat(Captured& step, int calls = 4) {
  for (int call = 0; call < calls; ++call) step({vector({1.0f + static_cast<float>(call), 2.0f}, gpu)});
}

/// A preset's training, steady enough for untrained networks.
Config steady(const std::string& preset, const std::string& device) {
  Config c = tiny(preset, device);
  c.sigma = 1.0;
  return c;
}

constexpr int kIterations = 5;  // two to warm up, one to record, the rest replays

}  // namespace

// What a step may do, on the CPU as everywhere ------------------------------------------------------------

TEST_CASE("on the CPU a step just runs, every time") {
  int runs = 0;
  Captured twice("twice", {"a"}, Device{}, [&](const Tensors& in) {
    ++runs;
    return Tensors{add(in[0], in[0])};
  });
  for (int k = 0; k < 5; ++k) {
    const float x = static_cast<float>(k);
    CHECK(twice({vector({x}, {})})[0].item() == 2.0 * k);
  }
  CHECK(runs == 5);
}

TEST_CASE("on the CPU a step takes no memory from the system after its first run") {
  Generator random(1);
  const Tensor w = random.normal({32, 32});
  Captured step("products", {"a"}, Device{}, [&](const Tensors& in) {
    return Tensors{tanh(matmul(matmul(in[0], w), add(w, random.normal({32, 32}))))};
  });
  const Tensor a = random.normal({32, 32});
  step({a});
  const std::size_t reserved = backend(Device{}).bytes_reserved();
  for (int k = 0; k < 10; ++k) step({a});
  CHECK(backend(Device{}).bytes_reserved() == reserved);
}

TEST_CASE("inputs that differ from those of the first call are errors that say which") {
  const RehearsalDevice device;
  for (const Device where : {Device{}, gpu}) {
    Captured step("sum", {"a", "b"}, where, [](const Tensors& in) { return Tensors{add(in[0], in[1])}; });
    const Tensor a = Tensor::zeros({2, 3}, Dtype::f32, where), b = Tensor::zeros({3}, Dtype::f32, where);
    for (int k = 0; k < 4; ++k) {
      step({a, b});
      CHECK_THROWS_WITH_AS(step({a, Tensor::zeros({4, 3}, Dtype::f32, where)}),
                           "step 'sum': input 'b' was [3] f32 in the first call and is [4, 3] f32 now",
                           Error);
      CHECK_THROWS_WITH_AS(step({a.to(Dtype::f64), b}),
                           "step 'sum': input 'a' was [2, 3] f32 in the first call and is [2, 3] f64 now",
                           Error);
      CHECK_THROWS_AS(step({a}), Error);
    }
    const Device other = where == gpu ? Device{} : gpu;
    CHECK_THROWS_WITH_AS(step({a, Tensor::zeros({3}, Dtype::f32, other)}),
                         doctest::Contains("input 'b' is on"), Error);
  }
}

TEST_CASE("a result that differs from that of the first call is an error that says which") {
  const RehearsalDevice device;
  int length = 1;
  Captured step("parts", {"a"}, gpu, [&](const Tensors& in) {
    return Tensors{in[0], in[0].narrow(0, 0, length).clone()};
  });
  repeat(step, 1);
  length = 2;
  CHECK_THROWS_WITH_AS(repeat(step, 1),
                       "step 'parts': result 2 was [1] f32 in the first call and is [2] f32 now", Error);
  std::size_t results = 1;
  Captured more("more", {"a"}, gpu, [&](const Tensors& in) { return Tensors(results, in[0]); });
  repeat(more, 1);
  results = 3;
  CHECK_THROWS_WITH_AS(repeat(more, 1), "step 'more': 1 results in the first call and 3 now", Error);
}

TEST_CASE("a copy between host and device within a step is an error on every device") {
  const RehearsalDevice device;
  for (const Device where : {Device{}, gpu}) {
    const auto message = [&](const std::function<void(const Tensor&)>& deed) {
      Captured step("deed", {"a"}, where, [&](const Tensors& in) {
        deed(in[0]);
        return Tensors{};
      });
      try {
        step({Tensor::zeros({1}, Dtype::f32, where)});
      } catch (const Error& error) {
        return std::string(error.what());
      }
      return std::string();
    };
    CHECK(message([](const Tensor& t) { t.fill(1.0); }) == "");
    CHECK(message([](const Tensor& t) { t.item(); }).starts_with("step 'deed': a copy to the host"));
    CHECK(message([](const Tensor& t) { t.to_vector<double>(); }).starts_with("step 'deed': a copy to the"));
    CHECK(message([&](const Tensor&) { vector({1.0f}, where); }).starts_with("step 'deed': a copy from the"));
    Generator random(1, 0, where);
    CHECK(message([&](const Tensor&) { random.position(); }) != "");
    CHECK(message([&](const Tensor&) { random.set_position(3); }) != "");
  }
  Captured up("up", {}, gpu, [](const Tensors&) { return Tensors{Tensor::zeros({1}).to(gpu)}; });
  CHECK_THROWS_WITH_AS(up({}), doctest::Contains("a copy between devices"), Error);
  CHECK(Tensor::full({1}, 3.0, Dtype::f32, gpu).item() == 3.0);  // outside it is none, also after an error
}

TEST_CASE("a step in a step is an error") {
  Captured inner("inner", {}, Device{}, [](const Tensors&) { return Tensors{}; });
  Captured outer("outer", {}, Device{}, [&](const Tensors&) { return inner({}); });
  CHECK_THROWS_WITH_AS(outer({}), "step 'inner' runs within step 'outer'", Error);
  inner({});
}

// Recording and replaying ---------------------------------------------------------------------------------

TEST_CASE("a recorded step computes what the step would, from inputs, weights and noise as they are") {
  const RehearsalDevice device;
  const auto results = [](Device where) {
    Generator random(3, 1, where);
    const Tensor w = vector({0.5f, -1.0f}, where);
    std::vector<double> found;
    Captured step("noisy", {"a"}, where, [&](const Tensors& in) {
      const Tensor noise = random.normal({2});
      return Tensors{add(mul(in[0], w), noise), random.uniform({3})};
    });
    for (int k = 0; k < 7; ++k) {
      const Tensors out = step({vector({1.0f + static_cast<float>(k), 2.0f}, where)});
      for (const Tensor& t : out) {
        for (const double value : t.to_vector<double>()) found.push_back(value);
      }
      w.fill(0.25 * k);                             // a weight that changes between calls
      found.push_back(random.uniform({1}).item());  // and draws from the same stream
      found.push_back(static_cast<double>(random.position()));
    }
    return found;
  };
  CHECK(results(gpu) == results(Device{}));
  CHECK(device->replays() == 5);
}

TEST_CASE("the step's host code runs to warm up, to record and to rehearse only") {
  const RehearsalDevice device;
  int runs = 0;
  Captured step("counted", {"a"}, gpu, [&](const Tensors& in) {
    ++runs;
    return Tensors{add(in[0], in[0])};
  });
  repeat(step, 2);
  CHECK(device->replays() == 0);
  step({vector({1.0f, 2.0f}, gpu)});
  CHECK(device->replays() == 1);
  CHECK(runs == 2 + 1 + 1);  // a GPU does without the last
}

TEST_CASE("a fresh step sees neither a tensor's old results nor those of an input that changed meanwhile") {
  const RehearsalDevice device;
  Captured step("last", {"a"}, gpu, [](const Tensors& in) { return Tensors{mul(in[0], 2.0)}; });
  const Tensor x = vector({1.0f, 2.0f}, gpu);
  for (int k = 0; k < 4; ++k) {
    x.fill(k);
    const Tensor y = step({x})[0];
    x.fill(99.0);
    CHECK(y.to_vector<double>() == std::vector<double>{2.0 * k, 2.0 * k});
  }
}

TEST_CASE(
    "steps share their memory, in whatever order they run, and results stay until the same step's next "
    "call") {
  const RehearsalDevice device;
  const auto make = [](const char* name, double by) {
    return std::make_unique<Captured>(name, std::vector<std::string>{"a"}, gpu, [by](const Tensors& in) {
      Tensor y = in[0];
      for (int k = 0; k < 5; ++k) y = mul(add(y, y), by);  // temporaries of the results' size
      return Tensors{y, sum(y)};
    });
  };
  const auto a = make("a", 0.5), b = make("b", 1.0);
  const Tensor x = Tensor::full({1000}, 1.0, Dtype::f32, gpu);
  const auto check = [](const Tensors& results, double value) {
    CHECK(results[0].to_vector<double>() == std::vector<double>(1000, value));
    CHECK(results[1].item() == 1000.0 * value);
  };
  Tensors of_a, of_b;
  for (const char step : std::string("aaababbbabaabba")) {
    (step == 'a' ? of_a : of_b) = (step == 'a' ? *a : *b)({x});
    if (!of_a.empty()) check(of_a, 1.0);
    if (!of_b.empty()) check(of_b, 32.0);
  }
  const std::size_t reserved = backend(gpu).bytes_reserved();
  const auto c = make("c", 0.5);
  for (int k = 0; k < 5; ++k) check((*c)({x}), 1.0);
  CHECK(backend(gpu).bytes_reserved() - reserved <= 3 * 4096);  // pages: its input and its results
  check(of_a, 1.0);
  check(of_b, 32.0);
}

TEST_CASE("a step's memory goes to no tensor outside of steps, and what it returned stays when it is gone") {
  const RehearsalDevice device;
  Tensor kept;
  const std::size_t before = backend(gpu).bytes_in_use();
  {
    Captured step("sum", {"a"}, gpu,
                  [](const Tensors& in) { return Tensors{add(mul(in[0], in[0]), mul(in[0], 3.0))}; });
    for (int k = 0; k < 6; ++k) {
      const Tensor y = step({vector({static_cast<float>(k), 1.0f}, gpu)})[0];
      std::vector<Tensor> others;  // of the sizes that the step frees
      for (int i = 0; i < 8; ++i) others.push_back(Tensor::full({2}, 7.0, Dtype::f32, gpu));
      CHECK(y.to_vector<double>() == std::vector<double>{static_cast<double>(k * k + 3 * k), 4.0});
      for (const Tensor& other : others) CHECK(other.to_vector<double>() == std::vector<double>{7.0, 7.0});
      kept = y;
    }
  }
  CHECK(kept.to_vector<double>() == std::vector<double>{40.0, 4.0});
  kept = {};
  CHECK(backend(gpu).bytes_in_use() == before);
}

// What a rehearsal finds ----------------------------------------------------------------------------------

TEST_CASE("a number of the host that changes is found") {
  const RehearsalDevice device;
  double rate = 0.1;
  Captured step("rate", {"a"}, gpu, [&](const Tensors& in) { return Tensors{mul(in[0], rate)}; });
  repeat(step);
  rate = 0.2;
  CHECK_THROWS_WITH_AS(repeat(step, 1), doctest::Contains("rehearsal: call 2 of the step was"), Error);
}

TEST_CASE("a tensor that is another one at every call is found, unless it is an input") {
  const RehearsalDevice device;
  Tensor x = vector({1.0f, 2.0f}, gpu);
  std::vector<Tensor> old;
  Captured step("stale", {"a"}, gpu, [&](const Tensors& in) { return Tensors{add(in[0], x)}; });
  repeat(step);
  old.push_back(x);
  x = vector({3.0f, 4.0f}, gpu);
  CHECK_THROWS_WITH_AS(repeat(step, 1), doctest::Contains("binary"), Error);
}

TEST_CASE("work that depends on a count is found: other shapes, more calls, fewer calls") {
  const RehearsalDevice device;
  for (const bool more : {true, false}) {
    int calls = 0;
    Captured step("count", {"a"}, gpu, [&](const Tensors& in) {
      Tensor y = in[0];
      for (int i = 0; i < (more ? calls : 9 - calls); ++i) y = add(y, y);
      ++calls;
      return Tensors{y};
    });
    CHECK_THROWS_AS(repeat(step), Error);
  }
  int length = 1;
  Captured step("shape", {"a"}, gpu,
                [&](const Tensors& in) { return Tensors{sum(in[0].narrow(0, 0, length).clone())}; });
  repeat(step);
  length = 2;
  CHECK_THROWS_WITH_AS(repeat(step, 1), doctest::Contains("takes block 1 of 8 bytes"), Error);
}

TEST_CASE("noise at a place that the host counts is found") {
  const RehearsalDevice device;
  const Tensor state = Tensor::from(std::vector<std::int64_t>{1, 0}, {2}, gpu);
  std::uint64_t drawn = 0;
  Captured step("counter", {"a"}, gpu, [&](const Tensors& in) {
    const Tensor noise = Tensor::empty({2}, Dtype::f32, gpu);
    backend(gpu).normal({state, 0, drawn++}, noise);
    return Tensors{add(in[0], noise)};
  });
  CHECK_THROWS_WITH_AS(repeat(step), doctest::Contains("normal"), Error);
}

TEST_CASE("a generator that appears when the step is recorded is an error") {
  const RehearsalDevice device;
  Generator first(1, 0, gpu), late(2, 0, gpu);
  int calls = 0;
  Captured step("late", {"a"}, gpu, [&](const Tensors& in) {
    Generator& random = ++calls < 3 ? first : late;
    return Tensors{add(in[0], random.normal({2}))};
  });
  CHECK_THROWS_WITH_AS(repeat(step), "step 'late' draws from a generator that it did not use before", Error);
}

TEST_CASE("a tensor that a recorded step makes and keeps is found: the next step would write into it") {
  const RehearsalDevice device;
  Tensors kept;
  Captured step("keeps", {"a"}, gpu, [&](const Tensors& in) {
    kept.push_back(mul(in[0], 2.0));
    return Tensors{add(kept.back(), 1.0)};
  });
  CHECK_THROWS_WITH_AS(repeat(step), doctest::Contains("outlives it"), Error);
}

TEST_CASE("reading back and waiting while a step is recorded is found beneath tensors, too") {
  const RehearsalDevice device;
  Captured reads("reads", {"a"}, gpu, [&](const Tensors& in) {
    float value = 0.0f;
    backend(gpu).copy_bytes(&value, in[0].raw(), 4, CopyKind::device_to_host);
    return Tensors{};
  });
  CHECK_THROWS_WITH_AS(repeat(reads), doctest::Contains("a copy of 4 bytes from the device"), Error);
  Captured waits("waits", {"a"}, gpu, [&](const Tensors&) {
    backend(gpu).synchronize();
    return Tensors{};
  });
  CHECK_THROWS_WITH_AS(repeat(waits), doctest::Contains("waits for the device"), Error);
}

TEST_CASE("a step that lives on what its last run left is found by its values") {
  const RehearsalDevice device;
  Captured step("leftover", {"a"}, gpu,
                [&](const Tensors& in) { return Tensors{add(in[0], Tensor::empty({2}, Dtype::f32, gpu))}; });
  for (int k = 0; k < 4; ++k) {
    for (const double value : step({vector({1.0f, 2.0f}, gpu)})[0].to_vector<double>())
      CHECK(std::isnan(value));
  }
}

// The steps of this program -------------------------------------------------------------------------------

TEST_CASE("training of every preset: recorded steps issue identical work and give the CPU's bits") {
  for (const std::string& preset : model_preset_names()) {
    CAPTURE(preset);
    const RehearsalDevice device;
    Session here(steady(preset, "cpu")), there(steady(preset, "cuda:0"));
    for (int k = 0; k < kIterations; ++k) {
      here.iterate(k);
      there.iterate(k);
      there.method.check();
    }
    CHECK(device->replays() == 7 * (kIterations - 2));
    CHECK(there.numbers == here.numbers);
    CHECK(same(there.state(), here.state()));
  }
}

TEST_CASE("in bf16, where a GPU's other products are not a CPU's, a recorded training is one that is not") {
  const auto train = [] {
    Config config = steady("mnist-quick", "cuda:0");
    config.precision = Precision::bf16;
    Session session(config);
    session.iterate(0, kIterations);
    return std::pair(session.numbers, session.state());
  };
  auto device = std::make_unique<RehearsalDevice>();
  const auto recorded = train();
  CHECK((*device)->replays() > 0);
  device.reset();
  const BackendOverride plain(gpu, chosen_cpu_variant().make());
  const auto direct = train();
  CHECK(recorded.first == direct.first);
  CHECK(same(recorded.second, direct.second));
}

TEST_CASE("the variants of training are recorded as well") {
  const auto check = [](const std::function<void(Config&)>& change) {
    const RehearsalDevice device;
    Config a = steady("mnist-quick", "cpu"), b = steady("mnist-quick", "cuda:0");
    change(a);
    change(b);
    Session here(a), there(b);
    here.iterate(0, kIterations);
    there.iterate(0, kIterations);
    CHECK(device->replays() > 0);
    CHECK(there.numbers == here.numbers);
    CHECK(same(there.state(), here.state()));
  };
  check([](Config& c) { c.uncond = Unconditional::null; });
  check([](Config& c) { c.guidance = 0.5; });
  check([](Config& c) { c.split_losses = !c.split_losses; });
  check([](Config& c) { c.prior_noise_starts = !c.prior_noise_starts; });
  check([](Config& c) { c.posterior_steps = c.prior_steps = c.q_updates = 0; });
  check([](Config& c) {
    c.batch = 8;
    c.batch_gpu = 4;
  });
  check([](Config& c) {  // rates that change at every iteration
    c.lr_decay = 0.5;
    c.lr_decay_every = 1;
    c.lr_min = 0.0;
  });
}

TEST_CASE("a state goes into a trainer whose steps are recorded, and comes out of it") {
  const RehearsalDevice device;
  Session whole(steady("mnist-quick", "cpu")), recorded(steady("mnist-quick", "cuda:0"));
  for (int k = 0; k < 2; ++k) whole.iterate(k);
  for (int k = 20; k < 20 + kIterations; ++k) recorded.iterate(k);  // a past of its own
  const StateDict state = whole.state();
  recorded.model.load_state_dict(state);
  recorded.method.load_state_dict(state);
  recorded.numbers.clear();
  whole.numbers.clear();
  for (int k = 2; k < 5; ++k) {
    whole.iterate(k);
    recorded.iterate(k);
  }
  CHECK(recorded.numbers == whole.numbers);
  Session after(steady("mnist-quick", "cpu"));
  after.model.load_state_dict(recorded.state());
  after.method.load_state_dict(recorded.state());
  whole.iterate(5);
  after.iterate(5);
  CHECK(same(after.state(), whole.state()));
}

TEST_CASE("a number that is not finite stops recorded updates, and the check names iteration and term") {
  const RehearsalDevice device;
  Session session(steady("mnist-quick", "cuda:0"));
  for (int k = 0; k < kIterations; ++k) session.iterate(k);
  session.method.check();
  const StateDict before = session.model.G.state_dict();
  const Tensor x = pictures(session.model.config, session.model.config.batch, gpu, 5);
  x.narrow(0, 1, 1).fill(std::nan(""));
  session.method.iterate(5, x);
  session.iterate(6);  // the device goes on, but updates nothing
  CHECK(same(session.model.G.state_dict(), before));
  CHECK_THROWS_WITH_AS(session.method.check(), "iteration 6: sampler loss is nan", Error);
  session.iterate(7);
  session.method.check();
  CHECK_FALSE(same(session.model.G.state_dict(), before));
}

TEST_CASE("a batch of another size is an error that says so") {
  Session session(steady("mnist-quick", "cpu"));
  session.iterate(0);
  CHECK_THROWS_WITH_AS(session.method.iterate(1, pictures(session.model.config, 3, Device{})),
                       "step 'ancestral sampling': input 'x' was [2, 28, 28, 1] f32 in the first call and is "
                       "[3, 28, 28, 1] f32 now",
                       Error);
}

TEST_CASE("evaluation replays whole batches, and the last smaller one runs as it is written") {
  const RehearsalDevice device;
  const std::int64_t batch = evaluation_batch(architecture("mnist"));
  Images images;
  images.n = 4 * batch + 3;
  images.height = images.width = 28;
  images.channels = 1;
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(images.n * images.image_size()));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * i % 251);
  images.pixels = pixels;
  const Model here(steady("mnist-quick", "cpu")), there(steady("mnist-quick", "cuda:0"));
  const Inference a = infer_all(here, images), b = infer_all(there, images);
  CHECK(b.squared_error == a.squared_error);
  CHECK(b.prior == a.prior);
  CHECK(device->replays() == 2);
}

TEST_CASE("samples of all kinds are recorded, and go on in their stream of noise") {
  const RehearsalDevice device;
  const auto draws = [](const std::string& where) {
    const Model model(steady("mnist-quick", where));
    Generator random(4, 0, model.device);
    const Tensor x = pictures(model.config, 1, model.device);
    Captured step("samples", {"x"}, model.device, [&](const Tensors& in) {
      const Tensor z = model.Q->sample(in[0], 3, random);  // three for one observation
      return Tensors{model.Q->sample_prior(3, random), model.draw("lebm", 3, random),
                     model.infer(in[0], random), model.G.forward(z).value()};
    });
    std::vector<double> values;
    for (int k = 0; k < 5; ++k) {
      for (const Tensor& t : step({x})) {
        for (const double value : t.to_vector<double>()) values.push_back(value);
      }
    }
    return values;
  };
  CHECK(draws("cuda:0") == draws("cpu"));
  CHECK(device->replays() == 3);
}
