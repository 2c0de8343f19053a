/// The diffusion: schedule, forward process, reverse steps and the ancestral sampler, against PyTorch (see
/// golden.h) and against what they must satisfy. The statistics of trained samplers are in test_sampler.cpp.
#include <doctest/doctest.h>

#include <cmath>

#include "autograd/checks/op_cases.h"
#include "damc/sampler/ancestral.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/golden.h"

using namespace damc;

namespace {

const LogSnrSchedule& schedule() {
  static const LogSnrSchedule paper(-5.1, 9.8);
  return paper;
}

double sigmoid_of(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// A denoiser with the formula's weights.
struct FormulaDenoiser {
  FormulaDenoiser(std::int64_t latent, std::int64_t embedding, double width, Dtype precision)
      : nz(latent), nemb(embedding), dtype(precision), init(random, precision), net(nz, nemb, width, init) {
    fill_with_formula(net, "Q.p.");
  }
  Tensor zT(std::int64_t n) const { return golden_input("zT", {n, nz}, dtype); }
  Tensor xemb(std::int64_t n, const char* name = "xemb") const {
    return golden_input(name, {n, nemb}, dtype);
  }

  std::int64_t nz, nemb;
  Dtype dtype;
  Generator random{1};
  Init init;
  Denoiser net;
};

/// The sampler as it is written in the paper: every step evaluates the whole network.
Tensor plain_ancestral_sample(const Denoiser& net, Tensor z, const Tensor& xemb, const Tensor& unconditional,
                              const AncestralOptions& options, Generator* noise) {
  for (int i = options.steps - 1; i >= 0; --i) {
    const auto time = [&](int k) { return options.schedule(static_cast<double>(k) / (options.steps - 1)); };
    const Tensor logsnr = Tensor::full({z.size(0)}, time(i), z.dtype());
    const auto predict = [&](const Tensor& condition) { return net.forward(z, logsnr, condition).value(); };
    Tensor eps_hat = predict(xemb);
    if (options.guidance != 0.0) {
      eps_hat = sub(mul(eps_hat, 1.0 + options.guidance), mul(predict(unconditional), options.guidance));
    }
    const ReverseStep step = i > 0 ? reverse_step(time(i), time(i - 1), options.gamma) : final_step(time(i));
    const Tensor z_hat = sub(mul(z, step.z_scale), mul(eps_hat, step.eps_scale));
    z = add(mul(z, step.keep), mul(z_hat, step.pull));
    if (noise && i > 0) z = add(z, mul(noise->normal(z.shape(), z.dtype()), step.noise));
  }
  return z;
}

}  // namespace

TEST_CASE("schedule") {
  const Golden golden("sampler");
  const Tensor& t = golden["schedule.t"];
  std::vector<double> one_by_one;
  for (const double value : t.to_vector<double>()) one_by_one.push_back(schedule()(value));
  CHECK(golden.error("schedule.logsnr", Tensor::from(one_by_one, t.shape())) < 1e-14);
  CHECK(golden.error("schedule.logsnr", schedule()(t)) < 1e-14);
  CHECK(golden.error("schedule.logsnr", schedule()(t.to(Dtype::f32))) < 1e-6);
  CHECK(schedule()(0.0) == doctest::Approx(9.8));
  CHECK(schedule()(1.0) == doctest::Approx(-5.1));
  CHECK_THROWS_AS(LogSnrSchedule(1.0, 1.0), Error);
}

TEST_CASE("reverse steps") {
  const Golden golden("sampler");
  const Tensor z_t = golden_input("z", {2, 8}, Dtype::f64), z_hat = golden_input("z_hat", {2, 8}, Dtype::f64);
  for (const int i : {99, 50, 1}) {
    for (const char* gamma : {"0.0", "0.5", "1.0"}) {
      const ReverseStep step =
          reverse_step(schedule()(i / 99.0), schedule()((i - 1) / 99.0), std::stod(gamma));
      CHECK(golden.error(fmt::format("reverse.{}.mean", i), add(mul(z_t, step.keep), mul(z_hat, step.pull))) <
            1e-13);
      const Tensor variance = Tensor::full({1}, step.noise * step.noise, Dtype::f64);
      CHECK(golden.error(fmt::format("reverse.{}.variance.{}", i, gamma), variance) < 1e-13);
    }
  }
}

TEST_CASE("forward process: Eq. (4) keeps the variance of N(0, I)") {
  const Tensor z = golden_input("z", {3, 8}, Dtype::f64), eps = golden_input("eps", {3, 8}, Dtype::f64);
  const std::vector<double> logsnrs{-5.0, 0.5, 9.0};
  const Tensor z_t = diffuse(z, eps, Tensor::from(logsnrs, {3}));
  for (int i = 0; i < 3; ++i) {
    const double signal = sigmoid_of(logsnrs[static_cast<std::size_t>(i)]);
    const auto row = [&](const Tensor& all) { return all.narrow(0, i, 1); };
    const Tensor expected = add(mul(row(z), std::sqrt(signal)), mul(row(eps), std::sqrt(1.0 - signal)));
    CHECK(relative_error(row(z_t), expected) < 1e-14);
  }
}

TEST_CASE("a reverse step with the true z leads to the forward process's marginal") {
  // z_t = a_t z + s_t w with a^2 = sigmoid(logsnr), s^2 = 1 - a^2. Given the true z the small variance is
  // exact:
  //   keep a_t + pull = a_s,  keep^2 s_t^2 + noise^2 = s_s^2
  for (int i = 1; i < 100; ++i) {
    const double now = schedule()(i / 99.0), next = schedule()((i - 1) / 99.0);
    const ReverseStep small = reverse_step(now, next, 0.0), large = reverse_step(now, next, 1.0);
    CHECK(small.keep * std::sqrt(sigmoid_of(now)) + small.pull ==
          doctest::Approx(std::sqrt(sigmoid_of(next))));
    CHECK(small.keep * small.keep * sigmoid_of(-now) + small.noise * small.noise ==
          doctest::Approx(sigmoid_of(-next)));
    CHECK(large.noise > small.noise);
    CHECK(large.keep == small.keep);
    CHECK(large.pull == small.pull);
    // The prediction of z from the true noise is z: z_scale z_t - eps_scale eps with z = 2, eps = -3.
    const double z_t = 2.0 * std::sqrt(sigmoid_of(now)) - 3.0 * std::sqrt(sigmoid_of(-now));
    CHECK(small.z_scale * z_t - small.eps_scale * -3.0 == doctest::Approx(2.0));
  }
}

TEST_CASE("ancestral sampler without noise against PyTorch") {
  const Golden golden("sampler");
  const FormulaDenoiser small(10, 32, 0.25, Dtype::f64);
  AncestralOptions options;
  const auto sample = [&](const FormulaDenoiser& q) {
    return ancestral_sample(q.net, q.zT(3), q.xemb(3), q.xemb(3, "xemb_uncond"), options, nullptr);
  };
  CHECK(golden.error("sampler.small.out", sample(small)) < 1e-9);
  options.guidance = 0.5;
  CHECK(golden.error("sampler.small.guided.out", sample(small)) < 1e-9);
  options.guidance = 0.0;
  CHECK(golden.error("sampler.small.out", sample({10, 32, 0.25, Dtype::f32})) < 1e-5);
  // Full width with the formula's B amplifies relative errors about 5e4 times over the hundred steps.
  CHECK(golden.error("sampler.svhn.out", sample({100, 1024, 1.0, Dtype::f64})) < 1e-9);
  CHECK(golden.error("sampler.svhn.out", sample({100, 1024, 1.0, Dtype::f32})) < 0.1);
}

TEST_CASE("contexts made in advance change nothing but rounding") {
  const FormulaDenoiser q(6, 16, 0.1, Dtype::f64);
  AncestralOptions options;
  options.steps = 7;
  options.gamma = 0.3;
  for (const std::int64_t n : {1, 5, 1500, 5000}) {  // all seven contexts at once, two at a time, one by one
    for (const double guidance : {0.0, 0.7}) {
      CAPTURE(n);
      CAPTURE(guidance);
      options.guidance = guidance;
      const Tensor free = q.xemb(n, "xemb_uncond");
      Generator noise(3), same(3);
      const Tensor prepared = ancestral_sample(q.net, q.zT(n), q.xemb(n), free, options, &noise);
      const Tensor plain = plain_ancestral_sample(q.net, q.zT(n), q.xemb(n), free, options, &same);
      CHECK(relative_error(prepared, plain) < 1e-11);
      CHECK(noise.position() == same.position());
    }
  }
}

TEST_CASE("of no observations there are no samples") {
  const FormulaDenoiser q(6, 16, 0.1, Dtype::f32);
  AncestralOptions options;
  options.guidance = 0.5;
  Generator noise(1);
  const Tensor none = Tensor::zeros({0, 6}), xemb = Tensor::zeros({0, 16});
  CHECK(ancestral_sample(q.net, none, xemb, xemb, options, &noise).shape() == Shape{0, 6});
}

TEST_CASE("guidance") {
  const FormulaDenoiser q(6, 16, 0.1, Dtype::f64);
  AncestralOptions options;
  options.steps = 20;
  const Tensor zT = q.zT(4), xemb = q.xemb(4), free = q.xemb(4, "xemb_uncond");
  const auto sample = [&](const Tensor& condition, double guidance) {
    options.guidance = guidance;
    Generator noise(5);
    return ancestral_sample(q.net, zT, condition, free, options, &noise);
  };
  const Tensor conditional = sample(xemb, 0.0);
  CHECK(relative_error(sample(xemb, 1.0), conditional) > 1e-3);
  CHECK(relative_error(sample(xemb, -1.0), sample(free, 0.0)) <
        1e-12);                                                         // only the unconditional part is left
  CHECK(relative_error(sample(free, 2.5), sample(free, 0.0)) < 1e-10);  // both parts agree
  CHECK(relative_error(conditional, sample(free, 0.0)) > 1e-3);
}

TEST_CASE("the noise of a step is drawn once per step but the last, and z is left as it was") {
  const FormulaDenoiser q(6, 16, 0.1, Dtype::f32);
  AncestralOptions options;
  options.steps = 9;
  const Tensor zT = q.zT(4);
  const std::vector<double> before = zT.to_vector<double>();
  Generator noise(5);
  ancestral_sample(q.net, zT, q.xemb(4), {}, options, &noise);
  CHECK(noise.position() == 8 * 6);  // blocks of four numbers
  CHECK(zT.to_vector<double>() == before);
  options.steps = 1;
  CHECK_THROWS_AS(ancestral_sample(q.net, zT, q.xemb(4), {}, options, &noise), Error);
}

namespace {

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// The variance of z_t where z ~ N(0, v).
double marginal(double v, double logsnr) { return v * sigmoid(logsnr) + sigmoid(-logsnr); }

/// The reverse process from zT where z ~ N(0, v), whose best prediction of the noise is known.
Tensor gaussian_reverse(const Tensor& zT, double v, const AncestralOptions& options, Generator* noise) {
  const AncestralPlan plan(options, Dtype::f64, Device{});
  const auto net = [&](std::int64_t i, const Tensor& z) {
    const double logsnr = plan.logsnrs()[static_cast<std::size_t>(i)];
    return mul(z, std::sqrt(sigmoid(-logsnr)) / marginal(v, logsnr) - 1.0);
  };
  return reverse_process(zT, plan, net, noise);
}

/// What the differential equation without noise, solved exactly, makes of 1, and the last prediction of it.
double exact_end(double v, const AncestralOptions& options) {
  const double last = options.schedule(0.0), first = options.schedule(1.0);
  return std::sqrt(sigmoid(last)) * v / std::sqrt(marginal(v, last) * marginal(v, first));
}

}  // namespace

TEST_CASE(
    "solvers without noise end where the exact solution does: DDIM to first order, DPM-Solver++ to second") {
  const Tensor one = Tensor::full({1, 1}, 1.0, Dtype::f64);
  for (const double v : {0.25, 1.0, 4.0}) {
    CAPTURE(v);
    const auto error = [&](Solver solver, int steps) {
      const AncestralOptions options{.solver = solver, .steps = steps};
      return std::abs(gaussian_reverse(one, v, options, nullptr).item() - exact_end(v, options));
    };
    CHECK(error(Solver::ddim, 160) / error(Solver::ddim, 320) == doctest::Approx(2.0).epsilon(0.1));
    CHECK(error(Solver::dpm_solver_pp, 160) / error(Solver::dpm_solver_pp, 320) ==
          doctest::Approx(4.0).epsilon(0.25));
    CHECK(error(Solver::dpm_solver_pp, 40) < error(Solver::ddim, 40));
  }
}

TEST_CASE("DDIM is its own formula, and with all of the noise ancestral sampling of small variance") {
  const double t = -2.0, s = 1.5;
  const ReverseStep step = solver_step(t, s, 0.0);
  // z_s = alpha_s z_hat + sigma_s eps where z_t = alpha_t z_hat + sigma_t eps
  CHECK(step.keep == doctest::Approx(std::sqrt(sigmoid(-s) / sigmoid(-t))).epsilon(1e-14));
  CHECK(step.pull + step.keep * std::sqrt(sigmoid(t)) ==
        doctest::Approx(std::sqrt(sigmoid(s))).epsilon(1e-14));
  CHECK(step.noise == 0.0);
  const ReverseStep noisy = solver_step(t, s, 1.0), small = reverse_step(t, s, 0.0);
  CHECK(noisy.keep == doctest::Approx(small.keep).epsilon(1e-14));
  CHECK(noisy.pull == doctest::Approx(small.pull).epsilon(1e-14));
  CHECK(noisy.noise == doctest::Approx(small.noise).epsilon(1e-14));
}

TEST_CASE("any share of the noise keeps the variance of the data") {
  constexpr std::int64_t n = 100000;
  for (const Solver solver : {Solver::ddim, Solver::dpm_solver_pp}) {
    for (const double eta : {0.3, 1.0}) {
      CAPTURE(eta);
      const AncestralOptions options{.solver = solver, .steps = 400, .eta = eta};
      Generator noise(8);
      const Tensor z = gaussian_reverse(noise.normal({n, 1}, Dtype::f64), 0.25, options, &noise);
      // Four and a half standard errors of a variance, and what 400 steps are off by.
      CHECK(sum_squares(z).item() / n == doctest::Approx(0.25).epsilon(4.5 * std::sqrt(2.0 / n) + 0.01));
      CHECK(noise.position() > n / 4);
    }
  }
}
