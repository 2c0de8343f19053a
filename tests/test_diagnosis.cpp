/// The diagnosis of a training's chains: what it finds in each method, that it changes nothing, and its numbers where
/// they are known.
#include <doctest/doctest.h>

#include <cmath>

#include "damc/diagnosis.h"
#include "tests/tiny_training.h"

using namespace damc;

namespace {

Config walking(const std::string& method) {
  ConfigBuilder builder("mnist-quick");
  builder.set("method", method);
  for (const char* key : {"nz", "ndf", "nemb"}) builder.set(key, "8");
  for (const char* key : {"ngf", "nif", "q_updates"}) builder.set(key, "2");
  for (const char* key : {"posterior_steps", "prior_steps", "batch", "diffusion_steps"})
    builder.set(key, "6");
  builder.set("width", "0.05");
  return builder.finish();
}

std::vector<std::string> names(const Stats& stats) {
  std::vector<std::string> found;
  for (const auto& number : stats.read()) found.push_back(number.first);
  return found;
}

void zero(const Module& network) {
  for (const Variable& parameter : network.parameters()) parameter.value().fill(0.0);
}

}  // namespace

TEST_CASE("every method is diagnosed: the posterior chain always, the prior chain where it learns") {
  for (const char* method : {"damc", "damc-g", "sr-lebm", "abp", "nalr"}) {
    CAPTURE(method);
    Session session(walking(method));
    std::vector<std::string> expected = {"stability_posterior", "tau_posterior", "rhat_posterior",
                                         "drift_posterior"};
    if (session.model.E)
      expected.insert(expected.end(), {"stability_prior", "tau_prior", "rhat_prior", "drift_prior"});
    const Stats found = diagnose(session.model, pictures(session.model.config, 3, Device{}, 0));
    CHECK(names(found) == expected);
    for (const auto& number : found.read()) CHECK(std::isfinite(number.second));
  }
}

TEST_CASE("a diagnosis repeats, and a training with one goes the way of a training without") {
  Session with(walking("damc")), without(walking("damc"));
  const Tensor x = pictures(with.model.config, 6, Device{}, 0);
  for (int k = 0; k < 2; ++k) {
    with.iterate(k);
    without.iterate(k);
    const auto first = diagnose(with.model, x).read(), second = diagnose(with.model, x).read();
    CHECK(first == second);
  }
  CHECK(same(with.state(), without.state()));
}

TEST_CASE("chains of two steps have a stability alone") {
  Config c = walking("sr-lebm");
  c.posterior_steps = c.prior_steps = 2;
  Session session(c);
  CHECK(names(diagnose(session.model, pictures(c, 2, Device{}, 0))) ==
        std::vector<std::string>{"stability_posterior", "stability_prior"});
}

TEST_CASE("without a generator and an energy chains walk on N(0, I), where they start") {
  Config c = walking("sr-lebm");
  c.posterior_steps = c.prior_steps = 60;
  Session session(c);
  zero(session.model.G);
  zero(*session.model.E);
  const Stats found = diagnose(session.model, pictures(c, 4, Device{}, 0));
  const double s = c.posterior_step_size, t = c.prior_step_size;
  CHECK(found["stability_posterior"] == doctest::Approx(s * s / 2.0));
  CHECK(found["stability_prior"] == doctest::Approx(t * t / 2.0));
  // Student's t with 15 degrees of freedom: |t| < 4.1 in 99.9 % of all seeds; discretisation adds 0.25 % of variance.
  CHECK(std::abs(found["drift_posterior"]) < 4.1);
  CHECK(found["tau_posterior"] > 5.0);
  CHECK(std::isnan(found["rhat_prior"]));  // E(z) is 0 throughout
}

TEST_CASE(
    "an alarm for each stability number that comes to be above its limit, and a word when it no longer is") {
  const Config c = walking("damc");
  StabilityAlarms alarms;
  const auto news = [&](double posterior, double prior) {
    Stats stats;
    stats.add("stability_posterior", posterior);
    stats.add("stability_prior", prior);
    std::string all;
    for (const std::string& line : alarms.news(c, stats)) all += line.substr(0, line.find(',')) + "; ";
    return all;
  };
  const std::string posterior = "alarm: steps of the posterior chain are too long; ",
                    prior = "alarm: steps of the prior chain are too long; ";
  CHECK(alarms.news(c, Stats()).empty());
  CHECK(news(2.5, 2.0) == posterior);
  CHECK(news(2.6, 2.0) == "");
  CHECK(news(1.5, 3.0) == "steps of the posterior chain are stable again: their number is 1.5; " + prior);
  CHECK(news(2.5, 3.0) == posterior);
  CHECK(news(std::nan(""), 2.0) == "steps of the prior chain are stable again: their number is 2; ");
  CHECK(news(2.5, 2.0) == "");  // as before the number that is none
}
