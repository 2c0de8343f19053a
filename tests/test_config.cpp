/// The configuration: what the presets say, what --set and TOML files may say, and how mistakes are answered.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "damc/config.h"
#include "damc/nets/networks.h"
#include "tensor/error.h"

using namespace damc;
namespace fs = std::filesystem;

namespace {

/// A TOML file that goes with the test.
class TempFile {
 public:
  explicit TempFile(const std::string& text) { std::ofstream(path_) << text; }
  ~TempFile() { fs::remove(path_); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_ = fs::temp_directory_path() / fmt::format("damc-test-config-{}.toml", ::getpid());
};

/// What the UserError of f says; empty when there is none.
template <class F>
std::string complaint(F&& f) {
  try {
    f();
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

/// The complaint about one setting of the svhn preset.
std::string complaint(const std::string& key, const std::string& value) {
  return complaint([&] { ConfigBuilder("svhn").set(key, value); });
}

bool says(const std::string& text, const std::vector<std::string>& parts) {
  return std::all_of(parts.begin(), parts.end(),
                     [&](const std::string& part) { return text.find(part) != std::string::npos; });
}

/// Complaints are one line, and one more that starts with "hint: ".
bool well_formed(const std::string& text) {
  const std::size_t first = text.find('\n');
  return !text.empty() && (first == std::string::npos || (text.compare(first + 1, 6, "hint: ") == 0 &&
                                                          text.find('\n', first + 1) == std::string::npos));
}

Config built(const std::string& preset, const std::vector<std::pair<std::string, std::string>>& settings) {
  ConfigBuilder builder(preset);
  for (const auto& [key, value] : settings) builder.set(key, value);
  return builder.finish();
}

}  // namespace

TEST_CASE(
    "a preset that compares like for like has its values for every method; others leave a method its own") {
  for (const MethodParts& method : methods()) {
    CAPTURE(method.name);
    const Config c = built("mnist-compare", {{"method", method.name}});
    CHECK(c.nz == 8);
    CHECK(c.batch == 64);
    CHECK(c.posterior_steps == 15);
    CHECK(c.sigma == 0.3);
    CHECK(c.lr_g == 1e-3);
    CHECK(c.lr_e == 2e-4);
    CHECK(c.grad_clip == 100.0);
    CHECK(c.sigma_vae == 0.3);
  }
  CHECK(built("mnist-compare", {{"method", "abp"}}).start == Start::pool);
  CHECK(built("mnist-compare", {{"method", "abp"}}).test_posterior_steps == 100);
  CHECK(built("mnist-compare", {{"method", "sri"}, {"sigma", "0.5"}}).sigma == 0.5);
  CHECK(built("mnist-quick", {{"method", "lebm"}}).lr_g == 1e-4);
}

TEST_CASE("presets carry the paper's values") {
  struct Row {
    const char* preset;
    std::int64_t nz, ngf, nif;
    double lr_g, lr_e, lr_q, sigma, sample_step;
  };
  const Row rows[] = {{"svhn", 100, 64, 64, 2e-4, 1e-4, 2e-4, 0.1, 0.4},
                      {"celeba64", 100, 128, 64, 2e-4, 1e-4, 2e-4, 0.1, 0.4},
                      {"cifar10", 128, 128, 64, 2e-4, 1e-4, 2e-4, 0.1, 1.6},
                      {"celebahq", 128, 128, 64, 2e-4, 1e-4, 2e-4, 1.0, 0.4},
                      {"mnist-anomaly", 8, 128, 128, 1e-4, 5e-5, 1e-4, 0.1, 0.4}};
  for (const Row& row : rows) {
    CAPTURE(row.preset);
    const Config c = built(row.preset, {});
    CHECK(c.preset == row.preset);
    CHECK(c.nz == row.nz);
    CHECK(c.ngf == row.ngf);
    CHECK(c.nif == row.nif);
    CHECK(c.lr_g == row.lr_g);
    CHECK(c.lr_e == row.lr_e);
    CHECK(c.lr_q == row.lr_q);
    CHECK(c.sigma == row.sigma);
    CHECK(c.sample_prior_step_size == row.sample_step);
    // Common to all.
    CHECK(c.nemb == 1024);
    CHECK(c.ndf == 200);
    CHECK(c.width == 1.0);
    CHECK(c.batch == 128);
    CHECK(c.iterations == 200000);
    CHECK(c.posterior_steps == 30);
    CHECK(c.posterior_step_size == 0.1);
    CHECK(c.prior_steps == 60);
    CHECK(c.prior_step_size == 0.4);
    CHECK(c.test_posterior_steps == 10);
    CHECK(c.sample_prior_steps == 100);
    CHECK(c.diffusion_steps == 100);
    CHECK(c.logsnr_min == -5.1);
    CHECK(c.logsnr_max == 9.8);
    CHECK(c.gamma == 1.0);
    CHECK(c.uncond == Unconditional::noise);
    CHECK(c.p_uncond == 0.2);
    CHECK(c.guidance == 0.0);
    CHECK(c.beta1 == 0.5);
    CHECK(c.beta2 == 0.999);
    CHECK(c.grad_clip == 100.0);
    CHECK(c.lr_decay == 0.99);
    CHECK(c.lr_decay_every == 1000);
    CHECK(c.lr_min == 1e-5);
    CHECK(c.q_updates == 6);
    CHECK(c.ema_rho == 0.005);
    CHECK(c.ema_every == 10);
    // MNIST: both losses at every update, prior chains from q alone, no weight decay, no mirroring.
    const bool mnist = c.preset == "mnist-anomaly";
    CHECK(c.split_losses == mnist);
    CHECK(c.prior_noise_starts == !mnist);
    CHECK(c.weight_decay == (mnist ? 0.0 : 1e-4));
    CHECK(c.flip == !mnist);
    CHECK(c.holdout == (mnist ? 1 : -1));
  }
  CHECK(preset_names() == std::vector<std::string>{"svhn", "celeba64", "cifar10", "celebahq", "mnist-anomaly",
                                                   "mnist-quick", "mnist-compare", "mnist-classifier",
                                                   "invert-mini-networks", "invert-mini", "invert-ffhq",
                                                   "invert-tower"});
  for (const std::string& preset : model_preset_names())
    CHECK_NOTHROW(architecture(preset_config(preset).architecture));
}

TEST_CASE("mnist-anomaly: sigma follows the digit held out unless it is set") {
  CHECK(built("mnist-anomaly", {}).sigma == 0.1);
  CHECK(built("mnist-anomaly", {{"holdout", "1"}}).sigma == 0.1);
  CHECK(built("mnist-anomaly", {{"holdout", "9"}}).sigma == 1.0);
  CHECK(built("mnist-anomaly", {{"holdout", "9"}, {"sigma", "0.5"}}).sigma == 0.5);
  CHECK(built("mnist-anomaly", {{"sigma", "0.5"}, {"holdout", "9"}}).sigma == 0.5);
  CHECK(built("mnist-quick", {{"holdout", "9"}}).sigma == preset_config("mnist-quick").sigma);
}

TEST_CASE("set: every kind of value") {
  const Config c = built("svhn", {{"nz", "64"},
                                  {"sigma", "0.25"},
                                  {"lr_g", "1e-3"},
                                  {"flip", "false"},
                                  {"split_losses", "true"},
                                  {"uncond", "null"},
                                  {"precision", "tf32"},
                                  {"device", "cuda:1"},
                                  {"seed", "9000000000000000"},
                                  {"sigma", "2"}});
  CHECK(c.nz == 64);
  CHECK(c.sigma == 2.0);  // the later one
  CHECK(c.lr_g == 1e-3);
  CHECK_FALSE(c.flip);
  CHECK(c.split_losses);
  CHECK(c.uncond == Unconditional::null);
  CHECK(c.precision == Precision::tf32);
  CHECK(c.device == "cuda:1");
  CHECK(c.seed == 9000000000000000);
}

TEST_CASE("set: mistakes are named with the nearest key, the value and what it may be") {
  CHECK(says(complaint("ngff", "3"), {"'ngff'", "'ngf'"}));
  CHECK(says(complaint("posteriorsteps", "3"), {"'posteriorsteps'", "'posterior_steps'"}));
  CHECK(says(complaint("leanring", "3"), {"'leanring'", "lists all keys"}));
  CHECK(says(complaint("poserior_steps", "3"), {"hint: did you mean 'posterior_steps'?"}));
  CHECK(says(complaint("", "3"), {"''", "hint: "}));
  CHECK(says(complaint("nz", "many"), {"'many'", "nz", "whole number"}));
  CHECK(says(complaint("nz", "10.5"), {"'10.5'", "whole number"}));
  CHECK(says(complaint("nz", "12 "), {"'12 '"}));
  CHECK(says(complaint("nz", ""), {"''"}));
  CHECK(says(complaint("nz", "99999999999999999999"), {"99999999999999999999"}));
  CHECK(says(complaint("nz", "0"), {"nz = 0", "at least 2"}));
  CHECK(says(complaint("batch", "-1"), {"batch = -1", "at least 1"}));
  CHECK(says(complaint("p_uncond", "1.5"), {"p_uncond = 1.5", "at most 1"}));
  CHECK(says(complaint("sigma", "0"), {"sigma = 0"}));
  CHECK(says(complaint("sigma", "nan"), {"'nan'", "sigma", "a number is needed"}));
  CHECK(says(complaint("lr_g", "inf"), {"lr_g = inf"}));
  CHECK(says(complaint("lr_g", "fast"), {"'fast'", "number"}));
  CHECK(says(complaint("flip", "maybe"), {"'maybe'", "flip", "true or false"}));
  CHECK(says(complaint("uncond", "nul"), {"'nul'", "uncond", "noise|null"}));
  CHECK(says(complaint("uncond", "noise|null"), {"'noise|null'"}));
  CHECK(says(complaint("precision", ""), {"precision"}));
  CHECK(says(complaint("diffusion_steps", "1"), {"diffusion_steps = 1"}));
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"ngff", "3"}, {"nz", "many"}, {"nz", "0"}, {"flip", "maybe"}, {"uncond", "nul"}}) {
    CHECK(well_formed(complaint(key, value)));
  }
  CHECK(says(complaint([] { preset_config("svnh"); }), {"'svnh'", "svhn, celeba64"}));
}

TEST_CASE("every number: its least value is accepted, a smaller one refused") {
  for (const ConfigKey& key : config_keys()) {
    CAPTURE(key.name);
    if (!std::holds_alternative<std::int64_t Config::*>(key.member) &&
        !std::holds_alternative<double Config::*>(key.member)) {
      continue;
    }
    CHECK(complaint(key.name, fmt::format("{}", key.least)) == "");
    CHECK(says(complaint(key.name, fmt::format("{}", key.least - 1.0)), {key.name, "out of range"}));
    CHECK(key.least < key.most);
  }
}

TEST_CASE("values that do not go together") {
  const auto refused = [](const std::string& preset,
                          const std::vector<std::pair<std::string, std::string>>& settings) {
    return complaint([&] { built(preset, settings); });
  };
  CHECK(says(refused("svhn", {{"logsnr_min", "9.9"}}), {"9.9", "9.8"}));
  CHECK(says(refused("svhn", {{"nz", "7"}}), {"nz = 7", "even"}));
  CHECK(says(refused("svhn", {{"holdout", "3"}}), {"holdout = 3", "svhn"}));
  CHECK(refused("mnist-quick", {{"holdout", "3"}}) == "");
  CHECK(says(refused("svhn", {{"eta", "0.5"}}), {"eta = 0.5 with solver ancestral", "gamma"}));
  CHECK(says(refused("svhn", {{"solver_steps", "1"}}), {"solver_steps = 1", "2 or more"}));
}

TEST_CASE("a solver takes its own steps, or those of ancestral sampling") {
  CHECK(sampling_steps(built("svhn", {{"solver", "ddim"}, {"eta", "1"}})) == 100);
  CHECK(sampling_steps(built("svhn", {{"solver", "dpm-solver++"}, {"solver_steps", "8"}})) == 8);
  CHECK(sampling_steps(built("svhn", {{"solver_steps", "20"}})) == 20);
}

TEST_CASE("a file overlays a preset") {
  const TempFile file("# comment\nnz = 32\nsigma = 1\nlr_g = 3e-4\nuncond = \"null\"\nflip = false\n");
  ConfigBuilder builder("svhn");
  builder.set("nz", "16");
  builder.overlay(file.path());
  builder.set("lr_g", "5e-4");
  const Config c = builder.finish();
  CHECK(c.nz == 32);
  CHECK(c.sigma == 1.0);
  CHECK(c.lr_g == 5e-4);
  CHECK(c.uncond == Unconditional::null);
  CHECK_FALSE(c.flip);
  CHECK(c.ngf == 64);
}

TEST_CASE("mistakes in a file are named with file and line") {
  const auto overlaid = [](const std::string& text) {
    const TempFile file(text);
    const std::string message = complaint([&] { ConfigBuilder("svhn").overlay(file.path()); });
    CHECK(well_formed(message));
    const std::size_t found = message.find(file.path().string() + ":");
    CHECK(found != std::string::npos);
    CHECK(message.find(file.path().string(), found + 1) == std::string::npos);  // once
    return message.substr(std::min(message.size(), found + file.path().string().size()));
  };
  CHECK(says(overlaid("nz = 32\n\nngff = 3\n"), {":3: ", "'ngff'", "'ngf'"}));
  CHECK(says(overlaid("nz = 32\nsigma = -1\n"), {":2: ", "sigma = -1"}));
  CHECK(says(overlaid("nz = \n"), {":1: "}));
  CHECK(says(overlaid("nz = 32\nnz = 33\n"), {":2: "}));
  CHECK(says(overlaid("ngf = 8\nnz = [32]\n"), {":2: ", "'nz'", "neither"}));
  CHECK(says(overlaid("[model]\nnz = 32\n"), {":1: ", "'model'", "flat"}));
  CHECK(says(overlaid("nz = 32\npreset = \"cifar10\"\n"), {":2: ", "'cifar10'", "'svhn'", "--preset"}));
  CHECK(says(complaint([] { ConfigBuilder("svhn").overlay("no/such/file.toml"); }), {"no/such/file.toml"}));
}

TEST_CASE("the configuration as TOML reads back as it was, for every preset") {
  for (const std::string& preset : preset_names()) {
    CAPTURE(preset);
    const Config plain = built(preset, {});
    const Config changed = built(preset, {{"sigma", "0.123456789012345"},
                                          {"lr_q", "3e-07"},
                                          {"grad_clip", "1e30"},
                                          {"width", "3"},
                                          {"uncond", "null"},
                                          {"flip", "true"},
                                          {"seed", "9000000000000000"},
                                          {"data", "a \"b\" \\ c\t# d"}});
    for (const Config& c : {plain, changed}) {
      const TempFile file(to_toml(c));
      const Config back = read_config(file.path());
      CHECK(to_toml(back) == to_toml(c));
      CHECK(back.architecture == c.architecture);
      for (const ConfigKey& key : config_keys()) CHECK(value_text(back, key) == value_text(c, key));
      CHECK(back.sigma == c.sigma);
      CHECK(back.lr_q == c.lr_q);
      CHECK(back.data == c.data);
    }
  }
}

TEST_CASE("what TOML cannot hold is refused before a run keeps it") {
  const std::string message = complaint([] { ConfigBuilder("svhn").set("data", "caf\xe9"); });
  CHECK(says(message, {"caf\xe9", "not UTF-8", "ln -s"}));
  Config c = preset_config("svhn");
  c.data = "/home/\xff/mnist";
  CHECK(says(complaint([&] { to_toml(c); }), {"not UTF-8"}));
  c.data = "/home/caf\xc3\xa9";
  CHECK(says(to_toml(c), {"caf\xc3\xa9"}));
}

TEST_CASE("what differs between two configurations, and what may not differ in a run") {
  const Config before = built("svhn", {});
  const Config after = built("svhn", {{"nz", "64"}, {"lr_g", "1e-3"}, {"uncond", "null"}});
  const std::vector<ConfigChange> found = changes(before, after);
  REQUIRE(found.size() == 3);
  CHECK(std::string(found[0].key->name) == "nz");
  CHECK(found[0].before == "100");
  CHECK(found[0].after == "64");
  CHECK(is_fixed(*found[0].key));
  CHECK(is_fixed(*found[1].key));  // uncond: a null token is a parameter
  CHECK_FALSE(is_fixed(*found[2].key));
  CHECK(changes(after, after).empty());
}

TEST_CASE("a configuration file: a folder, or one that is endless, is refused") {
  const std::filesystem::path folder = std::filesystem::temp_directory_path();
  CHECK(says(complaint([&] { ConfigBuilder("svhn").overlay(folder); }), {folder.string(), "is a folder"}));
  CHECK(says(complaint([] { ConfigBuilder("svhn").overlay("/dev/zero"); }), {"/dev/zero", "1 MiB"}));
  const TempFile file("preset = \"svhn\"\nnz = 32\n");
  ConfigBuilder builder("svhn");
  builder.overlay(file.path());  // its own preset
  CHECK(builder.finish().nz == 32);
}

TEST_CASE("a damaged config.toml of a run is refused") {
  const auto refused = [](const std::string& text) {
    const TempFile file(text);
    const std::string message = complaint([&] { read_config(file.path()); });
    CHECK(well_formed(message));
    CHECK(says(message, {file.path().string()}));
    return message;
  };
  CHECK(says(refused("nz = 32\n"), {"no preset"}));
  CHECK(says(refused("preset = 3\n"), {"no preset"}));
  CHECK(says(refused("preset = \"svhn\"\nnz = 3x\n"), {":2: "}));
  CHECK(says(refused("preset = \"svhn\"\nngff = 3\n"), {":2: ", "'ngff'"}));
  CHECK(says(refused("preset = \"svhn\"\nnz = 0\n"), {":2: ", "nz = 0"}));
}
