/// Training at tiny widths: runs repeat and resume to the last bit, memory stays flat, numbers that are not finite stop
/// a run without harm, and every setting of Algorithm 1 does what it says.
#include <doctest/doctest.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "autograd/checks/op_cases.h"
#include "damc/method.h"
#include "tensor/error.h"
#include "tensor/io/safetensors.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/kernel_log.h"
#include "tests/tiny_training.h"

using namespace damc;

namespace {

Config small(const std::string& preset = "mnist-quick") {
  Config c = preset_config(preset);
  c.nz = 6;
  c.ngf = c.nif = preset == "celebahq" ? 1 : 4;
  c.nemb = c.ndf = 16;
  c.width = 0.1;
  c.batch = 8;
  c.diffusion_steps = 6;
  c.posterior_steps = 3;
  c.prior_steps = 4;
  c.q_updates = 2;
  c.ema_every = 2;
  return c;
}

/// The same for the same k.
Tensor images(const Config& c, std::int64_t k) { return pictures(c, c.batch, Device{}, k); }

/// Whether a parameter of Q whose name starts so was moved by one iteration.
bool moves(const Config& c, const std::string& start) {
  Session session(c);
  const auto before = bytes(*session.model.Q);
  session.iterate(0);
  for (const auto& [name, after] : bytes(*session.model.Q)) {
    if (name.starts_with(start) && after != before.at(name)) return true;
  }
  return false;
}

/// The message of the Error that the check after iteration k ends with; empty when it ends well.
std::string failure(Session& session, std::int64_t k, const Tensor& x) {
  session.method.iterate(k, x);
  try {
    session.method.check();
  } catch (const UserError&) {
    return "a UserError";
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

/// Makes one weight of a network NaN.
void spoil(const Module& module) {
  module.parameters()[0].value().reshape({-1}).narrow(0, 0, 1).fill(std::nan(""));
}

/// Notes the masks that are drawn.
class MaskLog final : public ObservedBackend {
 public:
  MaskLog(Backend& inner, std::vector<Tensor>& masks)
      : ObservedBackend(inner, [](const char*, const Tensor&, const auto& call) { call(); }), masks_(masks) {}
  void unary(const Unary& f, const Tensor& x, const Tensor& out) override {
    ObservedBackend::unary(f, x, out);
    if (f.op == UnaryOp::greater) masks_.push_back(out);
  }

 private:
  std::vector<Tensor>& masks_;
};

/// A file that goes with the test.
struct TempFile {
  ~TempFile() { std::filesystem::remove(path); }
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("damc-test-method-{}.safetensors", ::getpid());
};

}  // namespace

TEST_CASE("the same seed gives the same run to the last bit, another seed another") {
  Session one(small()), two(small());
  for (int k = 0; k < 5; ++k) {
    const Stats a = one.iterate(k), b = two.iterate(k);
    CHECK(a["loss_q"] == b["loss_q"]);
    CHECK(a["loss_g"] == b["loss_g"]);
    CHECK(a["energy_plus"] == b["energy_plus"]);
    CHECK(a["energy_minus"] == b["energy_minus"]);
  }
  CHECK(bytes(one.state()) == bytes(two.state()));
  Config other = small();
  other.seed = 2;
  Session three(other);
  CHECK(three.iterate(0)["loss_g"] != Session(small()).iterate(0)["loss_g"]);
}

TEST_CASE("a run that stops, is saved and loaded into another history continues to the last bit") {
  Session uninterrupted(small());
  uninterrupted.iterate(0, 7);
  const TempFile file;
  {
    Session stopped(small());
    stopped.iterate(0, 4);
    write_safetensors(file.path, stopped.state());
  }
  Session resumed(small());
  resumed.iterate(20, 3);  // a past of its own that loading must wipe out
  const StateDict saved = read_safetensors(file.path).tensors;
  resumed.model.load_state_dict(saved);
  resumed.method.load_state_dict(saved);
  resumed.iterate(4, 3);
  CHECK(bytes(resumed.state()) == bytes(uninterrupted.state()));
}

TEST_CASE("a state that lacks something names it") {
  Session session(small());
  for (const std::string name : {"G.gen.0.weight", "E.ebm.4.bias", "Q.p.B", "Q_dummy.xemb"}) {
    StateDict state = session.state();
    state.erase(name);
    CHECK_THROWS_WITH_AS(session.model.load_state_dict(state), doctest::Contains(name.c_str()), UserError);
  }
  for (const std::string name : {"adam_q.v.p.B", "adam_g.m.gen.0.weight", "adam_e.schedule"}) {
    StateDict state = session.state();
    state.erase(name);
    CHECK_THROWS_WITH_AS(session.method.load_state_dict(state), doctest::Contains(name.c_str()), UserError);
  }
  StateDict state = session.state();
  state.erase("noise.position");
  CHECK_THROWS_AS(session.method.load_state_dict(state), UserError);
}

TEST_CASE("a state that lacks something changes nothing") {
  Session trained(small()), session(small());
  trained.iterate(0, 2);
  const auto before = bytes(session.state());
  for (const std::string name :
       {"G.gen.0.weight", "Q_dummy.xemb", "adam_q.v.p.B", "adam_e.schedule", "noise.position"}) {
    CAPTURE(name);
    StateDict state = trained.state();
    state.erase(name);
    CHECK_THROWS_AS(load_all(state, session.model, session.method), UserError);
    CHECK(bytes(session.state()) == before);
  }
  load_all(trained.state(), session.model, session.method);
  CHECK(bytes(session.state()) == bytes(trained.state()));
}

TEST_CASE("weights without a target sampler: it becomes the sampler") {
  Session session(small());
  session.iterate(0, 1);  // before the target's first move
  StateDict state = session.model.state_dict();
  std::erase_if(state, [](const auto& entry) { return entry.first.starts_with("Q_dummy."); });
  Model model(small());
  model.load_state_dict(state);
  CHECK(bytes(*model.Q_target) == bytes(*session.model.Q));
  CHECK(bytes(*model.Q_target) != bytes(*session.model.Q_target));
}

TEST_CASE("memory stays flat") {
  // On one thread: how many blocks of working memory several threads hold at once is a matter of chance.
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  Session session(small());
  session.iterate(0, 20);
  const std::size_t in_use = backend(Device{}).bytes_in_use(), reserved = backend(Device{}).bytes_reserved();
  session.iterate(20, 180);
  CHECK(backend(Device{}).bytes_in_use() == in_use);
  CHECK(backend(Device{}).bytes_reserved() == reserved);
  omp_set_num_threads(threads);
}

TEST_CASE("every rollback halves the rates, below lr_min too, and draws other noise") {
  Config c = small();
  c.lr_q = c.lr_min = 1e-3;
  c.grad_clip = 0.0;
  const auto first_iteration = [&](std::int64_t rollbacks) {
    Model model(c);
    return Method(model, rollbacks).iterate(0, images(c, 0));
  };
  const Stats none = first_iteration(0), two = first_iteration(2);
  CHECK(two["lr_q"] == none["lr_q"] / 4);
  CHECK(two["lr_g"] == none["lr_g"] / 4);
  CHECK(two["lr_e"] == none["lr_e"] / 4);
  CHECK(two["chain_displacement"] != none["chain_displacement"]);
  CHECK(first_iteration(2)["chain_displacement"] == two["chain_displacement"]);
}

TEST_CASE("images with a NaN stop the run and leave all networks as they were") {
  Session session(small());
  session.iterate(0, 2);
  const auto before = bytes(session.model.state_dict());
  const Tensor x = images(session.model.config, 2);
  x.narrow(0, 3, 1).narrow(1, 5, 1).fill(std::nan(""));
  const std::string message = failure(session, 2, x);
  CHECK_MESSAGE(message.find("iteration 3: sampler loss is") != std::string::npos, message);
  CHECK(bytes(session.model.state_dict()) == before);
}

TEST_CASE("weights with a NaN stop the run at the term that they spoil") {
  Config c = small();
  c.posterior_steps = c.prior_steps = 0;  // chains would carry the NaN into z and so into the sampler
  const Tensor x = images(c, 7);
  {
    Session session(c);
    spoil(*session.model.Q);
    const auto before = bytes(session.model.state_dict());
    const std::string message = failure(session, 7, x);
    CHECK_MESSAGE(message.find("iteration 8: sampler loss is") != std::string::npos, message);
    CHECK(bytes(session.model.state_dict()) == before);
  }
  {
    Session session(c);
    spoil(session.model.G);
    const auto g = bytes(session.model.G), e = bytes(*session.model.E);
    const std::string message = failure(session, 7, x);
    CHECK_MESSAGE(message.find("iteration 8: generator loss is") != std::string::npos, message);
    CHECK(bytes(session.model.G) == g);
    CHECK(bytes(*session.model.E) == e);
  }
  {
    Session session(c);
    spoil(*session.model.E);
    const auto e = bytes(*session.model.E);
    const std::string message = failure(session, 7, x);
    CHECK_MESSAGE(message.find("iteration 8: energy loss is") != std::string::npos, message);
    CHECK(bytes(*session.model.E) == e);
  }
}

TEST_CASE("learning rates decay, but not below the least, and the optimisers use them") {
  Config c = small();
  c.lr_q = 8e-4;
  c.lr_g = 4e-4;
  c.lr_e = 5e-5;
  c.lr_decay = 0.5;
  c.lr_decay_every = 2;
  c.lr_min = 1e-4;
  Session session(c);
  const double expected_q[] = {8e-4, 8e-4, 4e-4, 4e-4, 2e-4, 2e-4, 1e-4, 1e-4, 1e-4};
  const double expected_g[] = {4e-4, 4e-4, 2e-4, 2e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4};
  for (int k = 0; k < 9; ++k) {
    const Stats stats = session.iterate(k);
    CHECK(stats["lr_q"] == doctest::Approx(expected_q[k]));
    CHECK(stats["lr_g"] == doctest::Approx(expected_g[k]));
    CHECK(stats["lr_e"] == doctest::Approx(5e-5));  // starts below the least and stays
    CHECK(session.method.state_dict().at("adam_q.schedule").to_vector<double>()[0] == stats["lr_q"]);
  }
}

TEST_CASE("the target sampler moves every ema_every iterations, by ema_rho") {
  Config c = small();
  c.ema_every = 3;
  c.ema_rho = 0.25;
  Session session(c);
  for (int k = 0; k < 7; ++k) {
    const StateDict before = session.model.Q_target->state_dict();
    session.iterate(k);
    const StateDict after = session.model.Q_target->state_dict(), source = session.model.Q->state_dict();
    if (k % 3 != 2) {
      CHECK(bytes(after) == bytes(before));
      continue;
    }
    for (const auto& [name, value] : after) {
      CHECK(relative_error(value, add(mul(before.at(name), 0.75), mul(source.at(name), 0.25))) < 1e-6);
    }
  }
}

TEST_CASE("an iteration updates the sampler q_updates times, the others once") {
  Config c = small();
  c.q_updates = 5;
  Session session(c);
  const KernelLog log;
  session.iterate(0);
  CHECK(log.count("adam_tick") == 5 + 1 + 1);
  CHECK(log.count("adam") == 5 + 1 + 1);  // one call for all parameters of a network
  CHECK(log.count("noisy_update") == c.diffusion_steps + c.posterior_steps + c.prior_steps);
}

TEST_CASE("the mask is drawn once per iteration and leaves images out with p_uncond") {
  Config c = small();
  c.split_losses = false;
  c.p_uncond = 0.2;
  c.batch = 100;
  c.diffusion_steps = 2;
  c.posterior_steps = c.prior_steps = 0;
  std::vector<Tensor> masks;
  Session session(c);
  const BackendOverride watch(Device{}, std::make_unique<MaskLog>(backend(Device{}), masks));
  session.iterate(0, 20);
  const Tensor all = cat(masks, 0);
  REQUIRE(all.numel() == 20 * 100);
  const double kept = sum(all).item();
  const double standard_error = std::sqrt(0.8 * 0.2 * 2000.0);
  CHECK(std::abs(kept - 0.8 * 2000.0) < 4.5 * standard_error);
}

TEST_CASE("which parts of the sampler learn") {
  Config c = small();
  c.weight_decay = 0.0;  // without it only a gradient moves a weight
  for (const Unconditional uncond : {Unconditional::noise, Unconditional::null}) {
    c.uncond = uncond;
    const std::string used = uncond == Unconditional::noise ? "prior_emb." : "xemb";
    const std::string idle = uncond == Unconditional::noise ? "xemb" : "prior_emb.";
    c.split_losses = true;
    CHECK(moves(c, "encoder."));
    CHECK(moves(c, used));
    CHECK_FALSE(moves(c, idle));
    c.split_losses = false;
    c.p_uncond = 0.0;
    CHECK(moves(c, "encoder."));
    CHECK_FALSE(moves(c, used));
    c.p_uncond = 1.0;
    CHECK_FALSE(moves(c, "encoder."));
    CHECK(moves(c, used));
    CHECK(moves(c, "p."));
  }
}

TEST_CASE("prior chains also start from noise, or not") {
  Config c = small();
  for (const bool noise_starts : {false, true}) {
    c.prior_noise_starts = noise_starts;
    Session session(c);
    const KernelLog log;
    session.iterate(0);
    const Shape both{2 * c.batch, c.nz};
    const auto long_steps = std::count_if(
        log.calls.begin(), log.calls.end(),
        [&](const KernelLog::Call& call) { return call.kernel == "noisy_update" && call.out == both; });
    CHECK(long_steps == (noise_starts ? c.prior_steps : 0));
  }
}

TEST_CASE("every preset iterates") {
  for (const std::string& preset : model_preset_names()) {
    CAPTURE(preset);
    Config c = small(preset);
    c.batch = 2;
    c.sigma = 1.0;  // untrained networks at 256 x 256 pixels are far from any image
    Session session(c);
    const Stats stats = session.iterate(0);
    for (const auto& [name, value] : stats.read()) CHECK(std::isfinite(value));
    CHECK(stats["grad_norm_q"] > 0.0);
    CHECK(stats["grad_norm_g"] > 0.0);
    CHECK(stats["chain_displacement"] > 0.0);
  }
}
