/// Methods whose networks play against each other, where the answers are known: meg and bigan.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>

#include "autograd/grad.h"
#include "damc/batched.h"
#include "damc/methods/bigan.h"
#include "damc/methods/meg.h"
#include "damc/metrics/inference.h"
#include "tensor/error.h"
#include "tests/linear_gaussian.h"
#include "tests/tiny_training.h"

using namespace damc;

namespace {

/// E(x) = theta x of x [N, 1].
class LinearEnergy final : public DataEnergy {
 public:
  Variable forward(const Variable& x) const override { return theta * x; }
  Variable tangent(const Tensor&, const Tensor& v) const override { return theta * v; }
  void visit(const std::string& prefix, const Visitor& visitor) const override {
    visitor(prefix + "theta", theta);
  }

  Variable theta{Tensor::zeros({1}, Dtype::f64), true};
};

/// A logit quadratic in u = (x + z) / 2 and w = x - z, whose terms are scaled to the same size: c . (1, u^2, s u w, s^2 w^2).
class QuadraticCritic final : public PairCritic {
 public:
  explicit QuadraticCritic(double s = 1.0) : s_(s) {}
  Variable forward(const Variable& x, const Variable& z) const override {
    const Variable u = 0.5 * (x + z), w = s_ * (x - z);
    return matmul(cat(std::vector<Variable>{0.0 * u + 1.0, square(u), u * w, square(w)}, 1), c);
  }
  void visit(const std::string& prefix, const Visitor& visitor) const override { visitor(prefix + "c", c); }

  Variable c{Tensor::zeros({4, 1}, Dtype::f64), true};

 private:
  double s_;
};

/// x -> factor x + noise.
class NoisyScale final : public Layer {
 public:
  NoisyScale(double by, double noise, std::uint64_t seed)
      : factor(Tensor::full({1}, by, Dtype::f64), true), noise_(noise), random_(seed) {}
  Variable forward(const Variable& x) const override {
    return factor * x + mul(random_.normal(x.shape(), x.dtype()), noise_);
  }
  void visit(const std::string& prefix, const Visitor& visitor) const override {
    visitor(prefix + "factor", factor);
  }

  Variable factor;

 private:
  double noise_;
  mutable Generator random_;
};

/// mean |dE/dx|^2
double squared_slope(const DataEnergy& energy, const Tensor& x) {
  const Variable at(x, true);
  return sum_squares(grad(sum(energy.forward(at)), {at})[0]).item() / static_cast<double>(x.size(0));
}

/// The gradient of what penalised_energy adds for |dE/dx|^2 of weight 1.
std::vector<Tensor> penalty_gradient(const DataEnergy& energy, const Tensor& x) {
  // Of the same images as real and as made: the two terms cancel.
  return grad(penalised_energy(energy, x, x, 1.0).loss, energy.parameters());
}

}  // namespace

TEST_CASE(
    "meg: a tangent pass has the gradient of |dE/dx|^2, as finite differences and second derivatives have "
    "it") {
  Generator random(1);
  Init init(random, Dtype::f64);
  const ImageEnergy energy(architecture("mnist"), 1, 2, init);
  const Tensor x = random.uniform({3, 28, 28, 1}, Dtype::f64);
  CHECK(penalised_energy(energy, x, x, 2.0).loss.value().item() ==
        doctest::Approx(2.0 * squared_slope(energy, x)).epsilon(1e-12));
  const std::vector<Tensor> found = penalty_gradient(energy, x);
  const std::vector<Variable> parameters = energy.parameters();
  double error = 0.0, size = 0.0, most = 0.0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    Tensor flat = parameters[i].value().reshape({-1});
    const std::vector<double> values = flat.to_vector<double>(), gradient = found[i].to_vector<double>();
    const std::size_t stride = values.size() > 64 ? 7 : 1;  // of the large filters one in seven
    for (std::size_t k = 0; k < values.size(); k += stride) {
      constexpr double h = 1e-6;
      const auto at = [&](double value) {
        flat.narrow(0, static_cast<std::int64_t>(k), 1).fill(value);
        return squared_slope(energy, x);
      };
      const double difference = (at(values[k] + h) - at(values[k] - h)) / (2.0 * h);
      at(values[k]);
      error += std::pow(gradient[k] - difference, 2);
      size += difference * difference;
      most = std::max(most, std::abs(gradient[k]));
    }
  }
  CHECK(most > 0.0);
  CHECK(std::sqrt(error / size) < 1e-6);

  const Variable at(x, true);
  const Variable slope = grad(sum(energy.forward(at)), {at}, create_graph)[0];
  const std::vector<Tensor> twice = grad((1.0 / 3.0) * sum(square(slope)), parameters);
  for (std::size_t i = 0; i < parameters.size(); ++i)
    CHECK(sum_squares(sub(twice[i], found[i])).item() <= 1e-24 * sum_squares(twice[i]).item());
}

TEST_CASE("meg: a linear energy ends where its penalty holds it, (m_fake - m_real) / (2 weight)") {
  const Tensor real = add(mul(Generator(2).normal({1000, 1}, Dtype::f64), 0.5), 1.0),
               fake = add(Generator(3).normal({1000, 1}, Dtype::f64), -0.5);
  FiniteWatch watch(Device{});
  LinearEnergy learned;
  Learner e("energy", "d", learned, learning(2e-2, 400), watch);
  for (std::int64_t k = 0; k < 600; ++k) {
    e.begin(k);
    e.step(penalised_energy(learned, real, fake, 0.7).loss);
  }
  const double gap = mean(fake).item() - mean(real).item();
  CHECK(learned.theta.value().item() == doctest::Approx(gap / 1.4).epsilon(1e-6));
}

TEST_CASE("meg: the statistics network finds the dependence of correlated Gaussians") {
  constexpr double rho = 0.8;
  constexpr std::int64_t n = 200000;
  Generator random(4);
  const Tensor z = random.normal({n, 1}, Dtype::f64), noise = random.normal({n, 1}, Dtype::f64);
  const Tensor x = add(mul(z, rho), mul(noise, std::sqrt(1.0 - rho * rho)));
  QuadraticCritic H;
  CHECK(pair_loss(H, x, z).value().item() == doctest::Approx(std::log(2.0)));
  FiniteWatch watch(Device{});
  Learner h("statistics", "h", H, learning(5e-2, 120), watch);
  for (std::int64_t k = 0; k < 200; ++k) {
    h.begin(k);
    h.step(pair_loss(H, x, z));
  }
  // H* = -log(1 - rho^2)/2 + (rho x z - rho^2 (x^2 + z^2)/2) / (1 - rho^2), with x z = u^2 - w^2/4 and x^2 + z^2 = 2 u^2 +
  // w^2/2.
  const double scale = 1.0 / (1.0 - rho * rho);
  const std::vector<double> expected{-0.5 * std::log(1.0 - rho * rho), scale * (rho - rho * rho), 0.0,
                                     -0.25 * scale * (rho + rho * rho)},
      found = H.c.value().to_vector<double>();
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(found[i] == doctest::Approx(expected[i]).scale(1.0).epsilon(0.03));
  CHECK(pair_loss(H, x, z).value().item() == doctest::Approx(0.559381).epsilon(0.004));
}

TEST_CASE("bigan: the critic of noisy linear maps is the logarithm of the ratio of their densities") {
  constexpr double a = 1.0, b = 0.9, c = 1.1, tau = 0.1;
  NoisyScale G(a, tau, 5), Q(b, tau, 6);
  QuadraticCritic D(10.0);
  FiniteWatch watch(Device{});
  Learner g("generator", "g", G, learning(0.0, 1000), watch),
      q("encoder", "v", Q, learning(0.0, 1000), watch), d("critic", "d", D, learning(2e-2, 300), watch);
  Generator random(7), data(8);
  BiGan game({&G, &Q, &D, 1, &g, &q, &d}, Device{}, random);
  for (std::int64_t k = 0; k < 500; ++k) {
    for (Learner* learner : game.learners()) learner->begin(k);
    game.iterate(k, mul(data.normal({4000, 1}, Dtype::f64), c));
  }
  CHECK(G.factor.value().item() == a);
  CHECK(Q.factor.value().item() == b);
  const Tensor x = mul(data.normal({10000, 1}, Dtype::f64), c), z = Q.forward(x).value();
  const std::vector<double> found = D.forward(x, z).value().to_vector<double>(), xs = x.to_vector<double>(),
                            zs = z.to_vector<double>();
  double error = 0.0, size = 0.0;
  const auto log_normal = [](double of, double deviation) {
    return -0.5 * of * of / (deviation * deviation) - std::log(deviation);
  };
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const double expected = log_normal(xs[i], c) + log_normal(zs[i] - b * xs[i], tau) -
                            log_normal(zs[i], 1.0) - log_normal(xs[i] - a * zs[i], tau);
    error += std::pow(found[i] - expected, 2);
    size += expected * expected;
  }
  CHECK(std::sqrt(error / size) < 0.03);
}

TEST_CASE(
    "bigan: generator and encoder become each other's inverse, and the generator has the data's scale") {
  NoisyScale G(0.4, 0.1, 9), Q(0.3, 0.1, 10);
  QuadraticCritic D;
  FiniteWatch watch(Device{});
  const auto options = [](double rate) {
    return LearnerOptions{.rate = {rate, 0.1, 1000, 0.0}, .adam = {0.5, 0.999, 1e-8, 0.0}, .grad_clip = 0.0};
  };
  Learner g("generator", "g", G, options(3e-3), watch), q("encoder", "v", Q, options(3e-3), watch),
      d("critic", "d", D, options(2e-2), watch);
  Generator random(11), data(12);
  BiGan game({&G, &Q, &D, 1, &g, &q, &d}, Device{}, random);
  for (std::int64_t k = 0; k < 1500; ++k) {
    for (Learner* learner : game.learners()) learner->begin(k);
    game.iterate(k, mul(data.normal({1000, 1}, Dtype::f64), 1.5));
  }
  const double a = G.factor.value().item(), b = Q.factor.value().item();
  CHECK(std::abs(a * b - 1.0) * std::sqrt(2.0 / std::numbers::pi) <
        0.2);  // mean |Q(G(z)) - z| without the noise
  CHECK(a == doctest::Approx(1.5).epsilon(0.15));
}

namespace {

Config of(const std::string& method, const KeyValues& changes) {
  ConfigBuilder builder("mnist-quick");
  for (const auto& [key, value] :
       KeyValues{{"method", method}, {"nz", "6"}, {"ngf", "2"}, {"nif", "2"}, {"nemb", "8"}, {"batch", "4"}})
    builder.set(key, value);
  for (const auto& [key, value] : changes) builder.set(key, value);
  return builder.finish();
}

/// Prefixes of the networks that an iteration moves.
std::set<std::string> moved(Session& session, std::int64_t k) {
  const StateDict before = session.model.state_dict();
  session.iterate(k);
  std::set<std::string> names;
  for (const auto& [name, value] : session.model.state_dict()) {
    if (!same(value, before.at(name))) names.insert(name.substr(0, name.find('.')));
  }
  return names;
}

using Names = std::set<std::string>;

}  // namespace

TEST_CASE("a player's step leaves the others as they are, bit for bit") {
  Session meg(of("meg", {{"g_every", "3"}}));
  CHECK(moved(meg, 0) == Names{"EX"});
  CHECK(moved(meg, 1) == Names{"EX"});
  CHECK(moved(meg, 2) == Names{"EX", "G", "D"});
  const KeyValues fixed{{"g_every", "1"}, {"lr_min", "0"}};
  const auto with = [&](const std::string& rate) {
    KeyValues changes = fixed;
    changes.emplace_back(rate, "0");
    return changes;
  };
  Session energy(of("meg", with("lr_g"))), generator(of("meg", with("lr_e")));
  CHECK(moved(energy, 0) == Names{"EX"});
  CHECK(moved(generator, 0) == Names{"G", "D"});
  Session bigan(of("bigan", {})), critic(of("bigan", with("lr_g"))), others(of("bigan", with("lr_e")));
  CHECK(moved(bigan, 0) == Names{"G", "V", "D"});
  CHECK(moved(critic, 0) == Names{"D"});
  CHECK(moved(others, 0) == Names{"G", "V"});
}

TEST_CASE("scores of anomalies: the energy of an image, error and critic of its reconstruction") {
  const Images images{5, 28, 28, 1, std::vector<std::uint8_t>(5 * 784, 90), {}};
  const Tensor x = to_tensor(images, 0, 5, Device{});
  Model meg(of("meg", {}));
  CHECK_FALSE(meg.infers());
  const std::vector<double> energies = meg.image_energy->forward(x).value().to_vector<double>();
  CHECK(critic_scores(meg, images) == energies);
  Generator random(13);
  CHECK_THROWS_AS(meg.start(x, random), Error);
  CHECK_THROWS_AS(critic_scores(Model(of("vae", {})), images), Error);

  for (const std::string scored : {"reconstruction", "image"}) {
    CAPTURE(scored);
    Model bigan(of("bigan", {{"scored", scored}}));
    const Tensor z = bigan.start(x, random), made = bigan.decode(z);
    const double logit =
        bigan.critic->forward(scored == "image" ? x : made, z).value().to_vector<double>()[0];
    double error = 0.0;
    for (const double difference : sub(x, made).narrow(0, 0, 1).contiguous().to_vector<double>())
      error += std::abs(difference);
    CHECK(critic_scores(bigan, images)[0] ==
          doctest::Approx(0.9 * error + 0.1 * std::log1p(std::exp(-logit))).epsilon(1e-5));
  }
}
