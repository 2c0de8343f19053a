/// Every row of the table of methods at tiny widths: what it consists of, which of its networks learn when, that it goes on
/// to the last bit from a state, and which methods are the same where they should be.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "autograd/checks/op_cases.h"
#include "damc/batched.h"
#include "damc/key_parts.h"
#include "damc/method.h"
#include "damc/presets.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/kernel_log.h"
#include "tests/tiny_training.h"

using namespace damc;

namespace {

/// An iteration of one of the methods, small.
Config of_method(const std::string& method) {
  ConfigBuilder builder("mnist-quick");
  builder.set("method", method);
  for (const auto& [key, value] : KeyValues{{"nz", "6"},
                                            {"ngf", "4"},
                                            {"nif", "4"},
                                            {"nemb", "16"},
                                            {"ndf", "16"},
                                            {"width", "0.1"},
                                            {"batch", "8"},
                                            {"diffusion_steps", "6"},
                                            {"posterior_steps", "3"},
                                            {"prior_steps", "4"},
                                            {"q_updates", "2"},
                                            {"ema_every", "2"},
                                            {"phase_iterations", "2"}})
    builder.set(key, value);
  return builder.finish();
}

/// Names of the tensors of a state up to the first dot.
std::set<std::string> parts(const StateDict& state) {
  std::set<std::string> found;
  for (const auto& [name, t] : state) found.insert(name.substr(0, name.find('.')));
  return found;
}

}  // namespace

TEST_CASE("a method has the parts that it consists of, and runs what belongs to them") {
  struct Expected {
    const char* method;
    std::set<std::string> state;
    std::vector<std::string> sources;
    int updates, steps;
  };
  const Config sizes = of_method("damc");
  const auto posterior = static_cast<int>(sizes.posterior_steps), prior = static_cast<int>(sizes.prior_steps);
  const auto ancestral = static_cast<int>(sizes.diffusion_steps);
  for (const Expected& expected : std::vector<Expected>{
           {"damc",
            {"G", "E", "Q", "Q_dummy", "adam_g", "adam_e", "adam_q", "noise"},
            {"damc", "lebm"},
            2 + 1 + 1,
            ancestral + posterior + prior},
           {"damc-g",
            {"G", "Q", "Q_dummy", "adam_g", "adam_q", "noise"},
            {"damc", "gaussian"},
            2 + 1,
            ancestral + posterior},
           {"sr-lebm", {"G", "E", "adam_g", "adam_e", "noise"}, {"lebm"}, 1 + 1, posterior + prior},
           {"lebm", {"G", "E", "adam_g", "adam_e", "noise"}, {"lebm"}, 1 + 1, posterior + prior},
           {"abp", {"G", "adam_g", "noise", "pool"}, {"gaussian"}, 1, posterior},
           {"sri", {"G", "adam_g", "noise"}, {"gaussian"}, 1, posterior},
           {"ddpm-abp",
            {"G", "Q", "Q_dummy", "adam_g", "adam_q", "noise"},
            {"damc", "gaussian"},
            2 + 1,
            posterior}}) {
    CAPTURE(expected.method);
    Session session(of_method(expected.method));
    const KernelLog log;
    const Stats stats = session.iterate(0);
    CHECK(log.count("adam") == expected.updates);
    CHECK(log.count("noisy_update") == expected.steps);
    CHECK(parts(session.state()) == expected.state);
    CHECK(session.model.sources() == expected.sources);
    CHECK(stats.contains("loss_q") == expected.state.contains("Q"));
    CHECK(stats.contains("energy_plus") == expected.state.contains("E"));
    Generator random(5);
    for (const std::string source : {"damc", "lebm", "gaussian"}) {
      if (session.model.has_source(source)) {
        CHECK(session.model.draw(source, 3, random).shape() == Shape{3, sizes.nz});
      } else {
        CHECK_THROWS_AS(session.model.draw(source, 3, random), Error);
      }
    }
  }
}

TEST_CASE("every method learns the same from a batch in pieces") {
  for (const std::string& method : method_names()) {
    CAPTURE(method);
    if (method_parts(method).critic != CriticKind::none) continue;  // batch_gpu is refused
    for (const std::int64_t k : {0, 2}) {  // of the first phase and, where there is one, of the second
      CAPTURE(k);
      Config config = of_method(method);
      Session whole(config);
      config.batch_gpu = 4;
      Session pieces(config);
      const Stats all = whole.iterate(k), parts = pieces.iterate(k);
      for (const auto& number : all.read()) {
        const std::string& name = number.first;
        const double value = number.second;
        CHECK_MESSAGE(parts[name] == doctest::Approx(value).epsilon(1e-5), name);
        // Every row has the noise that it has in the whole batch: chains end where they did.
        if (name == "z_norm" || name == "chain_displacement")
          CHECK(parts[name] == doctest::Approx(value).epsilon(3e-7));
      }
      CHECK(same(pieces.state().at("noise.position"), whole.state().at("noise.position")));
    }
  }
  Config odd = of_method("damc");
  odd.batch_gpu = 3;
  CHECK_THROWS_AS(Session(odd).iterate(0), Error);
}

namespace {

/// Another value of a key than a configuration has; empty where it has no other.
std::string other_value(const Config& config, const ConfigKey& key) {
  const std::string now = plain_text(config, key), choices = key.choices;
  if (!choices.empty()) {
    const std::string last = choices.substr(choices.rfind('|') + 1);
    return last != now ? last : choices.substr(0, choices.find('|'));
  }
  if (now == "true" || now == "false") return now == "true" ? "false" : "true";
  if (std::holds_alternative<std::string Config::*>(key.member)) return "elsewhere";
  const double value = std::stod(now), twice = value == 0.0 ? 2.0 : 2.0 * value;
  return fmt::format("{}", twice <= key.most ? twice : value / 2.0);
}

/// The state after three iterations, of every phase; none where the key cannot have that value.
std::optional<std::map<std::string, std::string>> trained(const std::string& method, const std::string& key,
                                                          const std::string& value) {
  Config config = of_method(method);
  try {
    ConfigBuilder builder = ConfigBuilder::from_text(to_toml(config), "this");
    if (!key.empty()) builder.set(key, value);
    config = builder.finish();
  } catch (const UserError&) {
    return {};
  }
  Session session(config);
  session.iterate(0, 3);
  return bytes(session.state());
}

}  // namespace

TEST_CASE("a key without a part in a method changes nothing of its training, and rates with one do") {
  const std::set<std::string> groups{"method", "model",     "chains",  "encoder",
                                     "critic", "inversion", "sampler", "learning"};
  const std::set<std::string> shapes{"method", "nz", "ngf", "layers"};
  const std::set<std::string> felt{"lr_q",
                                   "lr_e",
                                   "lr_2",
                                   "posterior_steps",
                                   "posterior_step_size",
                                   "prior_steps",
                                   "prior_step_size",
                                   "latent_l2",
                                   "filter_l2",
                                   "sigma_vae",
                                   "gradient_penalty",
                                   "weight_decay",
                                   "q_updates",
                                   "ndf",
                                   "nif",
                                   "nemb",
                                   "width",
                                   "mlp_width"};
  int without = 0, with = 0;
  for (const std::string& method : method_names()) {
    CAPTURE(method);
    const auto base = trained(method, "", "");
    for (const ConfigKey& key : config_keys()) {
      const std::string name = key.name;
      if (!groups.contains(key.group) || shapes.contains(name)) continue;
      const Config config = of_method(method);
      const bool part = has_part(key, config);
      if (part && !felt.contains(name)) continue;  // it may be felt in use alone
      const auto other = trained(method, name, other_value(config, key));
      if (!other) continue;
      CAPTURE(name);
      CHECK((*other == *base) == !part);
      ++(part ? with : without);
    }
  }
  CHECK(without > 300);
  CHECK(with > 90);
}

TEST_CASE("every method goes on to the last bit from a state") {
  for (const std::string& method : method_names()) {
    CAPTURE(method);
    Session whole(of_method(method)), first(of_method(method)), second(of_method(method));
    whole.iterate(0, 5);
    first.iterate(0, 3);
    second.iterate(10, 2);
    second.load(first.state());
    second.iterate(3, 2);
    CHECK(bytes(second.state()) == bytes(whole.state()));
  }
}

TEST_CASE("without an energy the posterior of damc-g is that of damc whose energy is zero") {
  Model damc(of_method("damc")), gaussian(of_method("damc-g"));
  for (const Variable& weight : damc.E->parameters()) weight.value().fill(0.0);
  const Tensor x = pictures(damc.config, damc.config.batch, Device{}),
               z = Generator(3).normal({damc.config.batch, damc.config.nz});
  gaussian.G.copy_from(damc.G);
  CHECK(same(gaussian.refine(z, x), damc.refine(z, x)));
  CHECK(sum_squares(sub(damc.refine(z, x), z)).item() > 0.0);
}

namespace {

Config with(const std::string& method, const KeyValues& changes) {
  const Config sizes = of_method(method);
  ConfigBuilder builder = ConfigBuilder::from_text(to_toml(sizes), "the test");
  for (const auto& [key, value] : changes) builder.set(key, value);
  return builder.finish();
}

/// The generator's weights after three iterations, and the sampler's where there is one; E = 0 from the first on.
std::map<std::string, std::string> learned_without_energy(const Config& config) {
  Session session(config);
  if (session.model.E) {
    for (const Variable& weight : session.model.E->parameters()) weight.value().fill(0.0);
  }
  Generator random(12);  // the same sampler and encoder, whatever was drawn before them
  const auto draw = [&](const Module& network) {
    for (const Variable& weight : network.parameters())
      weight.value().copy_from(mul(random.normal(weight.shape()), 0.1));
  };
  if (session.model.V) draw(*session.model.V);
  if (session.model.Q) {
    draw(*session.model.Q);
    session.model.Q_target->copy_from(*session.model.Q);
  }
  session.iterate(0, 3);
  auto all = bytes(session.model.G);
  if (session.model.Q) all.merge(bytes(*session.model.Q));
  if (session.model.V) all.merge(bytes(*session.model.V));
  return all;
}

}  // namespace

TEST_CASE("methods of the same parts learn the same, bit for bit") {
  const KeyValues numbers = {{"posterior_steps", "4"}, {"posterior_step_size", "0.1"},
                             {"sigma", "0.3"},         {"lr_g", "0.001"},
                             {"grad_clip", "100"},     {"weight_decay", "0.01"}};
  const auto learned = [&](const std::string& method, KeyValues changes) {
    changes.insert(changes.end(), numbers.begin(), numbers.end());
    return learned_without_energy(with(method, changes));
  };
  const auto sri = learned("sri", {});
  CHECK(sri == learned("abp", {{"start", "noise"}}));
  CHECK(sri != learned("abp", {}));
  // Prior chains that a Gaussian prior has none of would take noise.
  const auto damc_g = learned("damc-g", {});
  CHECK(damc_g == learned("damc", {{"prior_steps", "0"}, {"prior_noise_starts", "false"}}));
  CHECK(sri == learned("ace", {{"stages", "0"}}));
  const auto vae = learned("vae", {});
  CHECK(vae == learned("vi-lebm", {}));
  const auto ddpm = learned("ddpm-abp", {});
  CHECK(ddpm == learned("damc-g", {{"start", "noise"}}));
  CHECK(ddpm != damc_g);
}

TEST_CASE(
    "nalr: energy and generator learn first, then only the sampler, and its rate begins to decay then") {
  Session session(with(
      "nalr", {{"phase_iterations", "3"}, {"lr_decay", "0.5"}, {"lr_decay_every", "1"}, {"lr_min", "0"}}));
  const auto weights = [&] {
    return std::array{bytes(session.model.G), bytes(*session.model.E), bytes(*session.model.Q)};
  };
  auto before = weights();
  for (int k = 0; k < 6; ++k) {
    CAPTURE(k);
    const Tensor chains = session.method.state_dict().at("pool.z");
    const Stats stats = session.iterate(k);
    const auto after = weights();
    const bool first = k < 3;
    CHECK((after[0] != before[0]) == first);
    CHECK((after[1] != before[1]) == first);
    CHECK((after[2] != before[2]) == !first);
    CHECK(stats.contains("loss_g") == first);
    CHECK(stats.contains("loss_q") == !first);
    if (!first) CHECK(stats["lr_q"] == doctest::Approx(1e-3 * std::pow(0.5, k - 3)));
    CHECK_FALSE(same(session.method.state_dict().at("pool.z"), chains));  // the chains go on
    before = after;
  }
}

namespace {

/// Which networks of a session an iteration moves, by their prefixes.
std::set<std::string> moved_by_iteration(Session& session, std::int64_t k) {
  const StateDict before = session.model.state_dict();
  session.iterate(k);
  std::set<std::string> moved;
  for (const auto& [name, value] : session.model.state_dict()) {
    if (!same(value, before.at(name))) moved.insert(name.substr(0, name.find('.')));
  }
  return moved;
}

}  // namespace

TEST_CASE("phases: what learns in each, and that the rest stays as it is, bit for bit") {
  struct Expected {
    const char* method;
    std::vector<std::set<std::string>> phases;
  };
  for (const Expected& of :
       std::vector<Expected>{{"ace", {{"G", "E0"}, {"G", "E1"}, {"G", "E2"}}},
                             {"ncp-vae", {{"G", "V"}, {"E0"}}},
                             {"two-stage-vae", {{"G", "V", "noise"}, {"G2", "V2", "noise2"}}},
                             {"rae", {{"G", "V"}}},
                             {"ddpm-vae", {{"G", "V", "Q", "Q_dummy"}}}}) {
    CAPTURE(of.method);
    Session session(with(of.method, {{"stages", "3"}, {"ema_every", "1"}, {"weight_decay", "0.01"}}));
    const auto last = static_cast<std::int64_t>(of.phases.size()) - 1;
    for (std::int64_t k = 0; k < 2 * last + 4; ++k) {
      CAPTURE(k);
      CHECK(moved_by_iteration(session, k) == of.phases[static_cast<std::size_t>(std::min(k / 2, last))]);
    }
    session.method.check();
  }
}

TEST_CASE(
    "rae: when all is done a mixture is fitted to the codes of the training images, which samples then "
    "follow") {
  Session session(with("rae", {{"components", "2"}}));
  session.iterate(0, 2);
  Images train{20, 28, 28, 1, {}, {}};
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(20 * 28 * 28));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * i % 251);
  train.pixels = Pixels(std::move(pixels));
  session.method.finish(train);
  const Tensor x = to_tensor(train, 0, 20, Device{});
  const Tensor codes = encoded_mean(*session.model.V, x, session.model.config.nz);
  Generator random(3);
  const Tensor drawn = session.model.draw("mixture", 2000, random);
  const Tensor expected = mul(sum(codes, 0), 1.0 / 20.0), found = mul(sum(drawn, 0), 1.0 / 2000.0);
  CHECK(relative_error(found, expected) < 0.05);
  CHECK(same(session.model.infer(x, random), codes));  // the code itself, no chain
}

TEST_CASE("the first phase is the method's share of the iterations, unless it is said") {
  ConfigBuilder builder("svhn");
  builder.set("method", "nalr");
  CHECK(builder.finish().phase_iterations == 25000);
  builder.set("phase_iterations", "7");
  CHECK(builder.finish().phase_iterations == 7);
  ConfigBuilder staged("svhn");
  staged.set("method", "ace");
  CHECK(staged.finish().phase_iterations == 50000);
  CHECK_THROWS_WITH_AS(with("sr-lebm", {{"start", "sampler"}}), doctest::Contains("sr-lebm has no sampler"),
                       UserError);
}

TEST_CASE("energy_l2 pulls both energies to zero") {
  Config c = of_method("sr-lebm");
  c.lr_e = 1e-2;
  c.energy_l2 = 0.0;
  Session plain(c);
  c.energy_l2 = 100.0;
  Session pulled(c);
  for (int k = 0; k < 30; ++k) {
    plain.iterate(k);
    pulled.iterate(k);
  }
  const auto size = [](const Stats& s) { return std::abs(s["energy_plus"]) + std::abs(s["energy_minus"]); };
  CHECK(size(pulled.iterate(30)) < 0.5 * size(plain.iterate(30)));
}

TEST_CASE("values of a method count where the configuration states none") {
  CHECK(of_method("damc").weight_decay == 0.0);  // the preset's
  CHECK(of_method("damc-g").weight_decay == 0.01);
  CHECK(of_method("sr-lebm").test_posterior_steps == 100);
  ConfigBuilder builder("svhn");
  builder.set("test_posterior_steps", "7");
  builder.set("method", "sr-lebm");
  CHECK(builder.finish().test_posterior_steps == 7);
  CHECK(builder.finish().energy_l2 == 0.001);
}
