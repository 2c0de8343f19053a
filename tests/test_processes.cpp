/// Processes that learn together, started by mpirun -n N: each compares itself with a single process that goes through
/// the same parts one after the other.
#include <doctest/doctest.h>

#include "damc/batched.h"
#include "damc/presets.h"
#include "data/batches.h"
#include "tensor/error.h"
#include "tensor/processes/launch.h"
#include "tensor/processes/processes.h"
#include "tests/tiny_training.h"

using namespace damc;

namespace {

/// Once for all tests: MPI does not start twice.
const Communicator& all() {
  static const std::unique_ptr<Communicator> joined = join_processes();
  return *joined;
}

/// Images of a process, and of all.
constexpr std::int64_t kShare = 4;
std::int64_t batch() { return kShare * all().part().count; }

Config small(const std::string& method) {
  ConfigBuilder builder("mnist-quick");
  builder.set("method", method);
  for (const auto& [key, value] : KeyValues{{"nz", "6"},
                                            {"ngf", "2"},
                                            {"nif", "2"},
                                            {"nemb", "16"},
                                            {"ndf", "16"},
                                            {"width", "0.1"},
                                            {"batch", std::to_string(batch())},
                                            {"diffusion_steps", "4"},
                                            {"posterior_steps", "2"},
                                            {"prior_steps", "2"},
                                            {"prior_noise_starts", "true"},
                                            {"q_updates", "2"},
                                            {"ema_every", "2"},
                                            {"stages", "2"},
                                            {"components", "2"},
                                            {"mlp_width", "16"},
                                            {"phase_iterations", "10"}})
    builder.set(key, value);
  return builder.finish();
}

using Numbers = std::vector<std::pair<std::string, double>>;

/// A model that learns in one process, or with others.
struct Learning {
  explicit Learning(const Config& config, const Communicator& with = alone())
      : model(config), method(model, 0, kTinyImages, with), part(with.part()) {}

  Numbers iterate(std::int64_t k) { return method.iterate(k, share(k)).read(); }
  /// Of minibatch k what this process learns from.
  Minibatch share(std::int64_t k) const {
    Minibatch whole = tiny_batch(model.config, model.device, k);
    whole.x = Pieces::rows_of(whole.x, part).clone();
    return whole;
  }
  StateDict state() const {
    StateDict whole = model.state_dict();
    whole.merge(method.state_dict());
    return whole;
  }

  Model model;
  Method method;
  Part part;
};

}  // namespace

TEST_CASE("processes know each other, and their sums are in their order") {
  const Part part = all().part();
  CHECK(part.index == launched().part.index);
  CHECK(part.count == launched().part.count);
  CHECK(all().max(10 + part.index) == 9 + part.count);
  const auto value = [](std::int64_t process, int i) {
    return static_cast<float>(process + 1) * 1.1f + 1e-6f * static_cast<float>(i * i);
  };
  std::vector<Tensor> mine{Tensor::empty({3, 5}), Tensor::empty({1}), Tensor::empty({})};
  std::vector<float> expected(17, 0.0f);
  for (std::int64_t p = 0; p < part.count; ++p) {
    for (int i = 0; i < 17; ++i) {
      const float v = value(p, i);
      expected[static_cast<std::size_t>(i)] = p == 0 ? v : expected[static_cast<std::size_t>(i)] + v;
    }
  }
  for (int i = 0; i < 17; ++i) {
    (i < 15   ? mine[0].data<float>()[i]
     : i < 16 ? *mine[1].data<float>()
              : *mine[2].data<float>()) = value(part.index, i);
  }
  std::vector<float> found;
  for (const Tensor& t : all().sum(mine)) {
    for (const float v : t.to_vector<float>()) found.push_back(v);
  }
  CHECK(found == expected);
  const Tensor f64 = Tensor::full({2}, 0.1, Dtype::f64);
  CHECK(all().sum({f64})[0].to_vector<double>()[1] == doctest::Approx(0.1 * static_cast<double>(part.count)));

  const Tensor rows = all().gather(Tensor::full({2, 3}, static_cast<double>(part.index)));
  CHECK(rows.shape() == Shape{2 * part.count, 3});
  CHECK(rows.narrow(0, 2 * part.count - 1, 1).to_vector<double>()[0] == static_cast<double>(part.count - 1));
  const std::vector<std::string> texts =
      all().gather(std::string(static_cast<std::size_t>(part.index), 'x') + '\0' + "end");
  REQUIRE(texts.size() == static_cast<std::size_t>(part.count));
  for (std::size_t p = 0; p < texts.size(); ++p) CHECK(texts[p] == std::string(p, 'x') + '\0' + "end");
}

TEST_CASE("draws and images of the processes are parts of those of one") {
  const Part part = all().part();
  Generator whole(3, 5), mine(3, 5, {}, part);
  for (const std::int64_t columns : {6, 10}) {
    const Tensor drawn = all().gather(mine.normal({kShare, columns}));
    CHECK(same(drawn, whole.normal({batch(), columns})));
    const Tensor uniform = all().gather(mine.uniform({kShare}));
    CHECK(same(uniform, whole.uniform({batch()})));
  }
  CHECK(mine.position() == whole.position());
  Images images{20, 4, 4, 1, {}, {}};
  std::vector<std::uint8_t> pixels(20 * 16);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * i % 251);
  images.pixels = Pixels(std::move(pixels));
  Batches batches(images, batch(), 7, true), shared(images, batch(), 7, true, part);
  const Tensor x = Tensor::empty({batch(), 4, 4, 1}), own = Tensor::empty({kShare, 4, 4, 1});
  for (const std::int64_t k : {0, 1, 5}) {
    batches.fill(k, {x.data<float>(), static_cast<std::size_t>(x.numel())});
    shared.fill(k, {own.data<float>(), static_cast<std::size_t>(own.numel())});
    CHECK(same(all().gather(own), x));
    CHECK(shared.rows(k) == batches.rows(k));
  }
  CHECK_THROWS_AS(Batches(images, 15, 7, true, {0, 2}), Error);
}

TEST_CASE("what processes make of batches is what one makes, and their noise goes on behind it") {
  for (const std::int64_t count : {0, 3, 8, 32, 35}) {
    const auto run = [count](const Communicator& among) {
      Generator random(5);
      std::vector<double> found;
      const auto make = [&](std::int64_t, std::int64_t n) { return std::array{random.normal({n, 3})}; };
      share_batches(among, count, 4, &random, make, [&](std::int64_t, const std::array<Tensor, 1>& made) {
        const std::vector<double> numbers = made[0].to_vector<double>();
        found.insert(found.end(), numbers.begin(), numbers.end());
      });
      found.push_back(static_cast<double>(random.position()));
      return found;
    };
    CAPTURE(count);
    CHECK(run(all()) == run(alone()));
  }
}

TEST_CASE("over 20 iterations processes learn what one learns from the parts in turn, to the last bit") {
  for (const std::string& name : method_names()) {
    CAPTURE(name);
    Config config = small(name);
    if (method_parts(name).critic != CriticKind::none) {
      if (all().part().count > 1)
        CHECK_THROWS_WITH_AS(Learning(config, all()), doctest::Contains("whole batches"), UserError);
      continue;
    }
    Learning together(config, all());
    std::vector<Numbers> found;
    for (std::int64_t k = 0; k < 20; ++k) found.push_back(together.iterate(k));
    const auto state = bytes(together.state());
    for (const auto& of : state) {
      for (const std::string& other : all().gather(of.second)) CHECK(other == of.second);
    }
    if (!all().leads()) continue;  // what the others have, it has
    config.batch_gpu = kShare;
    Learning in_turn(config);
    for (const Numbers& numbers : found) REQUIRE(in_turn.iterate(&numbers - found.data()) == numbers);
    CHECK(state == bytes(in_turn.state()));
  }
}

TEST_CASE("processes learn what one learns from whole batches, up to rounding") {
  for (const std::string& name : method_names()) {
    CAPTURE(name);
    if (method_parts(name).critic != CriticKind::none) continue;
    const Config config = small(name);
    Learning together(config, all()), whole(config);
    const auto found = together.iterate(0), expected = whole.iterate(0);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      CHECK(found[i].first == expected[i].first);
      CHECK_MESSAGE(found[i].second == doctest::Approx(expected[i].second).epsilon(1e-5), found[i].first);
    }
  }
}

TEST_CASE("pieces of a share, and batches that cannot be shared") {
  const std::int64_t processes = all().part().count;
  Config config = small("damc");
  config.batch = 3 * batch();
  config.batch_gpu = kShare;
  Learning pieces(config, all()), one(config);
  const Numbers found = pieces.iterate(0), expected = one.iterate(0);
  for (std::size_t i = 0; i < found.size(); ++i)
    CHECK_MESSAGE(found[i].second == doctest::Approx(expected[i].second).epsilon(1e-5), found[i].first);
  if (processes == 1) return;
  config.batch_gpu = 8;  // of 12
  CHECK_THROWS_WITH_AS(Learning(config, all()), doctest::Contains("batch_gpu = 8 with"), UserError);
  config.batch = 2 * processes;
  CHECK_THROWS_WITH_AS(Learning(config, all()), doctest::Contains("processes for a batch of"), UserError);
}

TEST_CASE("a number that is not finite in one process stops all in the same iteration") {
  Learning together(small("damc"), all());
  together.iterate(0);
  const Minibatch learned = together.share(1);
  if (together.part.index == together.part.count - 1) learned.x.narrow(0, 0, 1).fill(NAN);
  const auto before = bytes(together.model.G);
  together.method.iterate(1, learned);
  CHECK(bytes(together.model.G) == before);
  CHECK_THROWS_WITH_AS(together.method.check(), doctest::Contains("iteration 2"), Divergence);
}
