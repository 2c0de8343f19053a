/// Networks, losses, chains and optimisers against PyTorch (see golden.h): every preset at full width in f32,
/// the small images in f64 as well.
#include <doctest/doctest.h>

#include <algorithm>

#include "autograd/grad.h"
#include "damc/chains/langevin.h"
#include "damc/model.h"
#include "optim/adam.h"
#include "tensor/error.h"
#include "tensor/watch/trace.h"
#include "tests/golden.h"
#include "tests/worse.h"

using namespace damc;

namespace {

using Named = std::vector<std::pair<std::string, Variable>>;

/// Compares with one file's values; prints the largest error under its title when it goes.
class Comparison {
 public:
  Comparison(const Golden& golden, std::string title, double tolerance)
      : golden_(golden), title_(std::move(title)), tolerance_(tolerance) {}
  ~Comparison() { fmt::print("{:<44} {:.1e} of {:.0e}\n", title_, worst_, tolerance_); }
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;

  void check(const std::string& name, const Tensor& got) {
    const double error = golden_.error(name, got);
    CHECK_MESSAGE(error < tolerance_, title_, ", ", name, ": relative error ", error);
    worst_ = worse(worst_, error);
  }
  /// Gradients of sum(y seed) with respect to named leaves, under topic.grad.<name>.
  void check_gradients(const std::string& topic, const Variable& y, const Tensor& seed, const Named& leaves) {
    std::vector<Variable> xs;
    for (const auto& [name, x] : leaves) xs.push_back(x);
    const std::vector<Tensor> gradients = grad(y, xs, seed);
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      const std::string& name = leaves[i].first;
      const bool input = name.starts_with("input.");  // of a network; weights are kept as PyTorch keeps them
      check(topic + ".grad." + name, input ? gradients[i] : to_torch_layout(gradients[i]));
    }
  }
  /// A network's output and its product with the cotangent.
  void check_output(const std::string& topic, const Variable& out) {
    check(topic + ".out", out.value());
    check(topic + ".loss", sum(mul(out.value(), cotangent(out))));
  }
  /// The same and the gradients of the product.
  void check_network(const std::string& topic, const Variable& out, const Named& leaves) {
    check_output(topic, out);
    check_gradients(topic, out, cotangent(out), leaves);
  }
  /// input.cotangent in the shape of a network's output.
  static Tensor cotangent(const Variable& out) {
    const Tensor& y = out.value();
    const bool column = y.ndim() == 2 && y.size(1) == 1;  // an energy; PyTorch's has one dimension
    return golden_input("cotangent", column ? Shape{y.size(0)} : y.shape(), y.dtype()).reshape(y.shape());
  }

 private:
  const Golden& golden_;
  std::string title_;
  double tolerance_, worst_ = 0.0;
};

/// Parameters whose name starts with prefix + one of `only`.
Named parameters(const Module& module, const std::string& prefix,
                 const std::vector<std::string>& only = {""}) {
  Named found;
  module.visit(prefix, [&](const std::string& name, const Variable& parameter) {
    const auto wanted = [&](const std::string& start) { return name.starts_with(prefix + start); };
    if (std::any_of(only.begin(), only.end(), wanted)) found.emplace_back(name, parameter);
  });
  return found;
}

Named operator+(Named a, const Named& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Variable leaf(const std::string& name, const Shape& shape, Dtype dtype) {
  return Variable(golden_input(name, shape, dtype), true);
}

/// Gives the same numbers for every normal draw.
class FixedNoise final : public ObservedBackend {
 public:
  FixedNoise(Backend& inner, Tensor values)
      : ObservedBackend(inner, [](const char*, const Tensor&, const auto& call) { call(); }),
        values_(std::move(values)) {}
  void normal(const RandomSlice&, const Tensor& out) override { out.copy_from(values_); }

 private:
  Tensor values_;
};

/// One preset's networks with the formula's weights, its golden values, and how exactly they must agree.
struct Case {
  Case(const std::string& preset, Dtype precision, double allowed)
      : name(preset), dtype(precision), tolerance(allowed), golden(preset), config(preset_config(preset)) {}

  Comparison comparison(const std::string& what, double slack = 1.0) const {
    return Comparison(golden, fmt::format("{} {} {}", name, what, damc::name(dtype)), slack * tolerance);
  }
  Tensor images(std::int64_t n) const {
    const Architecture& kind = architecture(config.architecture);
    return golden_input("x", {n, kind.size, kind.size, kind.channels}, dtype);
  }

  std::string name;
  Dtype dtype;
  double tolerance;
  Golden golden;
  Config config;
};

/// An activation within rounding of 0 may take the other slope, which depends on the order of the sums and so on the
/// processor's kernels, and one changes a gradient by about the root of its share: 3e-3 were seen. The f32 gradients of
/// encoders are therefore compared to 5e-3 only, and all f64 gradients exactly.
void check_encoder(const Case& c, const Model& model) {
  const Variable x(c.images(c.config.architecture == "celebahq" ? 1 : 2), true), out = model.Q->embed(x);
  const Named leaves = Named{{"input.x", x}} + parameters(*model.Q, "Q.", {"encoder."});
  c.comparison("encoder").check_output("encoder", out);
  c.comparison("encoder's gradients", c.dtype == Dtype::f32 ? 250.0 : 1.0)
      .check_gradients("encoder", out, Comparison::cotangent(out), leaves);
}

void check_networks(const Case& c) {
  const std::int64_t n = c.config.architecture == "celebahq" ? 1 : 2;
  Model model(c.config, c.dtype);
  fill_with_formula(model.G, "G.");
  fill_with_formula(*model.E, "E.");
  fill_with_formula(*model.Q, "Q.");
  const Variable z = leaf("z", {n, c.config.nz}, c.dtype);
  c.comparison("generator")
      .check_network("generator", model.G.forward(z), Named{{"input.z", z}} + parameters(model.G, "G."));
  c.comparison("energy").check_network("energy", model.E->forward(z),
                                       Named{{"input.z", z}} + parameters(*model.E, "E."));
  check_encoder(c, model);
  const Variable z3 = leaf("z", {3, c.config.nz}, c.dtype), xemb = leaf("xemb", {3, c.config.nemb}, c.dtype);
  const Variable eps_hat = model.Q->denoiser().forward(z3, c.golden["denoiser.logsnr"].to(c.dtype), xemb);
  c.comparison("denoiser")
      .check_network("denoiser", eps_hat,
                     Named{{"input.z", z3}, {"input.xemb", xemb}} + parameters(*model.Q, "Q.", {"p."}));
}

/// The diffusion loss with the condition replaced where the mask is 0; the values of single samples, the
/// gradients of their mean. With `encoder` the condition is the embedding of images instead of an input.
void check_loss(const Case& c, Unconditional uncond, const std::string& topic, bool encoder,
                const std::vector<std::string>& weights) {
  Config config = c.config;
  config.uncond = uncond;
  config.ngf = 1;  // not needed here
  if (!encoder) config.nif = 1;
  Model model(config, c.dtype);
  fill_with_formula(*model.Q, "Q.");
  const auto make_input = [&](const char* name) { return golden_input(name, {3, config.nz}, c.dtype); };
  const Tensor z = make_input("z"), eps = make_input("eps");
  const Tensor t = c.golden["loss.t"].to(c.dtype), mask = c.golden["loss.mask"].to(c.dtype);
  const Variable xemb = leaf("xemb", {3, config.nemb}, c.dtype);
  const BackendOverride fixed(Device{},
                              std::make_unique<FixedNoise>(backend(Device{}), make_input("emb_noise")));
  Generator random(1);
  const Variable condition =
      blend(mask, encoder ? model.Q->embed(c.images(3)) : xemb, model.Q->unconditional(3, random));

  Comparison comparison = c.comparison(topic);
  std::vector<Tensor> values;
  for (int i = 0; i < 3; ++i) {
    const auto row = [&](const Tensor& all) { return all.narrow(0, i, 1); };
    values.push_back(model.Q->loss_at(row(z), row(condition.value()), row(t), row(eps)).value().reshape({1}));
  }
  comparison.check(topic + ".value", cat(values, 0));
  comparison.check_gradients(
      topic, model.Q->loss_at(z, condition, t, eps), {},
      (encoder ? Named{} : Named{{"input.xemb", xemb}}) + parameters(*model.Q, "Q.", weights));
}

void check_losses(const Case& c) {
  check_loss(c, Unconditional::noise, "loss.noise", false, {"prior_emb.", "p.B"});
  check_loss(c, Unconditional::null, "loss.null", false, {"xemb", "p.B"});
}

/// Five steps of both chains without noise.
void check_chains(const Case& c) {
  Config config = c.config;
  config.nif = config.nemb = 1;  // the sampler is not needed here
  Model model(config, c.dtype);
  fill_with_formula(model.G, "G.");
  fill_with_formula(*model.E, "E.");
  const Tensor z = golden_input("z", {2, c.config.nz}, c.dtype), x = c.images(2);
  Comparison prior = c.comparison("prior chain"), posterior = c.comparison("posterior chain");
  const Likelihood likelihood(model.G, c.golden["posterior_chain.sigma"].item());
  for (int k = 1; k <= 5; ++k) {
    const ChainOptions fast{k, c.golden["prior_chain.step_size"].item()};
    const ChainOptions slow{k, c.golden["posterior_chain.step_size"].item()};
    const std::string step = ".step." + std::to_string(k);
    prior.check("prior_chain" + step, langevin(*model.prior, z, fast, nullptr));
    posterior.check("posterior_chain" + step,
                    langevin(Posterior(likelihood, *model.prior, x), z, slow, nullptr));
  }
}

/// One of layers.safetensors: `f` of x, w and b, its value and its gradients with the seed gy.
void check_layer(const Golden& golden, const std::string& name, Dtype dtype,
                 const std::function<Variable(const Variable& x, const Variable& w, const Variable& b)>& f) {
  const auto read = [&](const char* part) { return golden[name + part].to(dtype); };
  const Variable x(read(".x"), true), w(from_torch_layout(read(".w")).contiguous(), true),
      b(read(".b"), true);
  const Variable y = f(x, w, b);
  const std::vector<Tensor> gradients = grad(y, {x, w, b}, read(".gy"));
  const double tolerance = dtype == Dtype::f32 ? 1e-6 : 1e-14;
  CAPTURE(name);
  CHECK(golden.error(name + ".y", y.value()) < tolerance);
  CHECK(golden.error(name + ".gx", gradients[0]) < tolerance);
  CHECK(golden.error(name + ".gw", to_torch_layout(gradients[1])) < tolerance);
  CHECK(golden.error(name + ".gb", gradients[2]) < tolerance);
}

/// The same of a convolution with dilation and groups, and the gradients of |gx|^2 / 2 + |gw|^2 / 2.
void check_convolution_twice(const Golden& golden, const std::string& name, Dtype dtype) {
  int kernel = 0, stride = 0, padding = 0, dilation = 0, groups = 0;
  REQUIRE(std::sscanf(name.c_str(), "%*[a-z_].k%ds%dp%dd%dg%d", &kernel, &stride, &padding, &dilation,
                      &groups) == 5);
  const ConvOptions options{stride, padding, dilation, groups};
  const auto run = [&](const Variable& x, const Variable& w, const Variable& b) {
    return name.starts_with("conv_transpose") ? conv_transpose2d(x, w, b, options) : conv2d(x, w, b, options);
  };
  check_layer(golden, name, dtype, run);
  const auto leaf = [&](const Tensor& t) { return Variable(t.to(dtype).contiguous(), true); };
  const Variable x = leaf(golden[name + ".x"]), w = leaf(from_torch_layout(golden[name + ".w"])),
                 gy = leaf(golden[name + ".gy"]);
  const std::vector<Variable> g = grad(sum(run(x, w, {}) * gy), {x, w}, create_graph);
  const std::vector<Tensor> h = grad((sum(square(g[0])) + sum(square(g[1]))) * 0.5, {x, w, gy});
  const double tolerance = dtype == Dtype::f32 ? 1e-6 : 1e-14;
  CAPTURE(name);
  CHECK(golden.error(name + ".hx", h[0]) < tolerance);
  CHECK(golden.error(name + ".hw", to_torch_layout(h[1])) < tolerance);
  CHECK(golden.error(name + ".hgy", h[2]) < tolerance);
}

/// The same of a pooling, which has no weights.
void check_pooling(const Golden& golden, const std::string& name, Dtype dtype) {
  int kernel = 0, stride = 0, padding = 0, counted = 0;
  const bool largest = name.starts_with("max_pool");
  REQUIRE(std::sscanf(name.c_str(), "%*[a-z]_pool.k%ds%dp%dc%d", &kernel, &stride, &padding, &counted) == 4);
  const PoolOptions options{kernel, stride, padding, counted == 1};
  const Variable x(golden[name + ".x"].to(dtype), true);
  const Variable y = largest ? max_pool2d(x, options) : avg_pool2d(x, options);
  const double tolerance = dtype == Dtype::f32 ? 1e-6 : 1e-14;
  CAPTURE(name);
  CHECK(golden.error(name + ".y", y.value()) < tolerance);
  CHECK(golden.error(name + ".gx", grad(y, {x}, golden[name + ".gy"].to(dtype))[0]) < tolerance);
}

/// Parameters by name, to be optimised.
class Parameters final : public Module {
 public:
  explicit Parameters(Named all) : all_(std::move(all)) {}
  void visit(const std::string& prefix, const Visitor& visitor) const override {
    for (const auto& [name, parameter] : all_) visitor(prefix + name, parameter);
  }

 private:
  Named all_;
};

constexpr double single = 2e-5, exact = 1e-9;  // tolerances in f32 and f64

}  // namespace

TEST_CASE("the formula is make_golden.py's") {
  CHECK(golden_formula("G.gen.0.weight", {1}).item() == 0.41512978076934814);
}

TEST_CASE("networks at full width, f32") {
  for (const char* preset : {"svhn", "celeba64", "cifar10", "celebahq", "mnist-anomaly"}) {
    check_networks({preset, Dtype::f32, single});
  }
}

TEST_CASE("the encoder of the large images in f64") {
  const Case c{"celebahq", Dtype::f64, exact};
  Config config = c.config;
  config.ngf = 1;  // the generator is not needed here
  Model model(config, c.dtype);
  fill_with_formula(*model.Q, "Q.");
  check_encoder(c, model);
}

TEST_CASE("diffusion losses at full width, f32") {
  for (const char* preset : {"svhn", "celeba64", "cifar10", "celebahq", "mnist-anomaly"}) {
    check_losses({preset, Dtype::f32, single});
  }
}

TEST_CASE("small images: networks and losses in f64, the encoder through the loss, chains") {
  for (const char* preset : {"svhn", "mnist-anomaly"}) {
    const Case f32{preset, Dtype::f32, single}, f64{preset, Dtype::f64, exact};
    check_networks(f64);
    check_losses(f64);
    for (const Case& c : {f32, f64}) {
      check_loss(c, Unconditional::noise, "amortizer", true, {"encoder.", "prior_emb."});
      check_chains(c);
    }
  }
}

TEST_CASE("layers") {
  const Golden golden("layers");
  int checked = 0;
  for (const auto& entry : golden.tensors()) {
    if (!entry.first.ends_with(".gy")) continue;
    const std::string name = entry.first.substr(0, entry.first.size() - 3);
    if (name.find("_pool.") != std::string::npos || golden.tensors().contains(name + ".hx")) continue;
    int kernel = 0, stride = 0, padding = 0, more = 0;
    const bool conv = std::sscanf(name.c_str(), "conv.k%ds%dp%d", &kernel, &stride, &padding) == 3;
    const bool transposed =
        std::sscanf(name.c_str(), "conv_transpose.k%ds%dp%do%d", &kernel, &stride, &padding, &more) >= 3;
    REQUIRE((conv || transposed || name.starts_with("instance_norm.")));
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      check_layer(golden, name, dtype, [&](const Variable& x, const Variable& w, const Variable& b) {
        return conv         ? conv2d(x, w, b, {stride, padding})
               : transposed ? conv_transpose2d(x, w, b, {stride, padding, 1, 1, more})
                            : instance_norm(x, w, b);
      });
    }
    ++checked;
  }
  CHECK(checked == 7 + 7 + 3 + 2);
}

TEST_CASE("convolutions with taps that lie apart and channels in groups, differentiated twice") {
  const Golden golden("layers");
  int checked = 0;
  for (const auto& entry : golden.tensors()) {
    if (!entry.first.ends_with(".hx")) continue;
    const std::string name = entry.first.substr(0, entry.first.size() - 3);
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) check_convolution_twice(golden, name, dtype);
    ++checked;
  }
  CHECK(checked == 4 + 4);
}

TEST_CASE("pooling") {
  const Golden golden("layers");
  int checked = 0;
  for (const auto& entry : golden.tensors()) {
    if (entry.first.find("_pool.") == std::string::npos || !entry.first.ends_with(".gy")) continue;
    const std::string name = entry.first.substr(0, entry.first.size() - 3);
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) check_pooling(golden, name, dtype);
    ++checked;
  }
  CHECK(checked == 4 + 4);
}

TEST_CASE("activations") {
  const Golden golden("layers");
  const std::map<std::string, Unary> activations{{"leaky_relu_0.2", {UnaryOp::leaky_relu, 0.2}},
                                                 {"leaky_relu_0.01", {UnaryOp::leaky_relu, 0.01}},
                                                 {"silu", {UnaryOp::silu}},
                                                 {"tanh", {UnaryOp::tanh}},
                                                 {"sigmoid", {UnaryOp::sigmoid}},
                                                 {"softplus", {UnaryOp::softplus}}};
  for (const auto& [key, f] : activations) {
    const std::string name = key;
    CAPTURE(name);
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      const Variable x(golden["activation.x"].to(dtype), true);
      const Variable y = unary(f, x);
      const double tolerance = dtype == Dtype::f32 ? 1e-6 : 1e-13;  // PyTorch's softplus is x above 20
      CHECK(golden.error("activation." + name + ".y", y.value()) < tolerance);
      CHECK(golden.error("activation." + name + ".dy", grad(sum(y), {x})[0]) < tolerance);
    }
  }
}

TEST_CASE("ten steps of Adam and AdamW") {
  const Golden golden("optim");
  for (const auto& [name, decay] : {std::pair{"adam", 0.0}, std::pair{"adamw", 1e-2}}) {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      const Variable parameter(golden_formula("optim.param", {5, 7}).to(dtype), true);
      Parameters module({{"p", parameter}});
      Adam adam(module, {.beta1 = 0.5, .beta2 = 0.999, .eps = 1e-8, .weight_decay = decay});
      for (int step = 0; step < 10; ++step) {
        const std::vector<Tensor> gradient{
            golden_formula("optim.grad." + std::to_string(step), {5, 7}).to(dtype)};
        adam.step(gradient, global_norm(gradient), golden["optim.lr"].item());
        const double error = golden.error(fmt::format("{}.step.{}", name, step), parameter.value());
        CHECK(error < (dtype == Dtype::f32 ? 1e-6 : 1e-14));
      }
    }
  }
}

TEST_CASE("clipping by the global norm") {
  const Golden golden("optim");
  for (const int limit : {1, 100}) {
    CAPTURE(limit);
    const std::string name = fmt::format("clip.{}.", limit);
    const std::vector<Tensor> gradients{golden_formula("clip.grad.a", {4, 5}, 3.0).to(Dtype::f64),
                                        golden_formula("clip.grad.b", {7}, 3.0).to(Dtype::f64)};
    Parameters module({{"a", Variable(Tensor::zeros({4, 5}, Dtype::f64), true)},
                       {"b", Variable(Tensor::zeros({7}, Dtype::f64), true)}});
    const Tensor norm = global_norm(gradients);
    CHECK(golden.error(name + "total", norm) < 1e-14);
    // After one step with beta1 = 0.5 the first moment is half the clipped gradient.
    Adam adam(module, {.beta1 = 0.5});
    adam.step(gradients, norm, 1e-3, limit);
    const StateDict state = adam.state_dict("");
    CHECK(golden.error(name + "a", mul(state.at("m.a"), 2.0)) < 1e-14);
    CHECK(golden.error(name + "b", mul(state.at("m.b"), 2.0)) < 1e-14);
  }
}
