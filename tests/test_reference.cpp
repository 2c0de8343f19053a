/// Reference statistics: files that say what they are of, files that are something else, and the cache.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "autograd/checks/op_cases.h"
#include "damc/metrics/digest.h"
#include "damc/metrics/frechet.h"
#include "damc/metrics/reference.h"
#include "tensor/error.h"
#include "tensor/io/safetensors.h"
#include "tensor/ops.h"
#include "tests/golden.h"
#include "tests/tensor_files.h"

using namespace damc;

namespace {

/// Two features, the mean of the image and of its square, and a count of the images that were asked for.
struct Means {
  FeatureSpace space(const std::string& mode = "means", const std::string& network = "0123456789") {
    return {mode, network, 2, [this](const Tensor& x) {
              images += x.size(0);
              const Tensor rows = x.reshape({x.size(0), -1});
              const double scale = 1.0 / static_cast<double>(rows.size(1));
              return cat(std::vector<Tensor>{mul(sum(rows, 1), scale).reshape({-1, 1}),
                                             mul(sum(square(rows), 1), scale).reshape({-1, 1})},
                         1);
            }};
  }
  std::int64_t images = 0;
};

Images noise(std::int64_t n) {
  std::vector<std::uint8_t> pixels;
  std::uint32_t state = 7;
  for (std::int64_t i = 0; i < n * 12; ++i) {
    state = state * 1664525u + 1013904223u;
    pixels.push_back(static_cast<std::uint8_t>(state >> 24));
  }
  return {n, 3, 4, 1, std::move(pixels), {}};
}

std::string refusal(const fs::path& path) {
  try {
    read_reference(path);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("sha256: hashlib's of the same bytes") {
  CHECK(sha256("abc"s) == "dc1114cd074914bd872cc1f9a23ec910ea2203bc79779ab2e17da25782a624fc");
  const StateDict weights{{"a", Tensor::from(std::vector<double>{1.0, -2.0}, {2})},
                          {"b", Tensor::from(std::vector<float>{0.5f}, {})}};
  CHECK(sha256(weights) == "62ffbd8a0fee030c186e6babf42fc80001367882ec2a468acc4c936da6aa68b2");
  const Images images{3, 1, 2, 1, {1, 2, 3, 4, 5, 6}, {}};
  CHECK(sha256(images, 2) == "6d57f78ad1ff70559938c6c4b5fafd207d4f18b3f904b36e389b3c836dccd262");
  CHECK_THROWS_AS(sha256(images, 4), Error);
}

TEST_CASE("a reference is read as it was written") {
  const TempFile file;
  Means means;
  const Images images = noise(150);
  Reference reference{feature_statistics(means.space(), images, 130), "means", "abc", "noise"};
  CHECK(means.images == 130);
  CHECK(reference.statistics.n == 130);
  write_reference(file.path(), reference);
  const Reference again = read_reference(file.path());
  CHECK(again.mode == "means");
  CHECK(again.network == "abc");
  CHECK(again.data == "noise");
  CHECK(again.statistics.n == 130);
  CHECK(relative_error(again.statistics.mean, reference.statistics.mean) == 0.0);
  CHECK(relative_error(again.statistics.covariance, reference.statistics.covariance) == 0.0);
  CHECK(relative_error(again.statistics.features, reference.statistics.features) == 0.0);

  reference.statistics.features = {};
  write_reference(file.path(), reference);
  CHECK_FALSE(read_reference(file.path()).statistics.features.defined());
}

TEST_CASE("pytorch-fid's file of statistics says only numbers") {
  const Golden golden("metrics");
  const Reference found = read_reference(DAMC_SOURCE_DIR "/tests/golden/statistics.npz");
  CHECK(relative_error(found.statistics.mean, golden["full.mean"]) < 1e-15);
  CHECK(relative_error(found.statistics.covariance.narrow(0, 0, 4).narrow(1, 0, 4),
                       golden["full.covariance"]) < 1e-15);
  CHECK(found.statistics.n == 0);
  CHECK_FALSE(found.statistics.features.defined());
  CHECK(found.mode.empty());
}

TEST_CASE("files that are no reference are refused with the reason") {
  const TempFile file;
  const Tensor mu = Tensor::zeros({3}, Dtype::f64), sigma = Tensor::zeros({3, 3}, Dtype::f64);
  const auto refused = [&](const std::map<std::string, Tensor>& tensors, const std::string& words) {
    write_safetensors(file.path(), tensors, {{"n", "5"}});
    const std::string message = refusal(file.path());
    CHECK_MESSAGE(message.find(words) != std::string::npos, "'", words, "' is not in: ", message);
  };
  refused({{"mu", mu}}, "mu or sigma is missing");
  refused({{"mu", mu}, {"sigma", Tensor::zeros({3, 3})}}, "mu or sigma is not f64");
  refused({{"mu", mu}, {"sigma", Tensor::zeros({3, 2}, Dtype::f64)}}, "mu is [3] and sigma [3, 2]");
  refused({{"mu", sigma}, {"sigma", sigma}}, "mu is [3, 3]");
  refused({{"mu", mu}, {"sigma", sigma}, {"features", Tensor::zeros({4, 3})}},
          "features are [4, 3] of 5 images");
  refused({{"mu", mu}, {"sigma", Tensor::full({3, 3}, std::nan(""), Dtype::f64)}}, "a number is not finite");
  std::ofstream(file.path()) << "no statistics";
  CHECK_FALSE(refusal(file.path()).empty());
}

TEST_CASE("another mode or network is refused") {
  Means means;
  const Reference reference{{0, Tensor::zeros({2}), {}, {}}, "means", "0123456789", ""};
  CHECK_NOTHROW(check_space(reference, means.space(), "file"));
  CHECK_NOTHROW(
      check_space({{0, Tensor::zeros({2}), {}, {}}, "", "", ""}, means.space(), "file"));  // it does not say
  CHECK_THROWS_WITH_AS(
      check_space(reference, means.space("clean"), "file"),
      "'file' was measured in the mode means, not clean\nhint: two modes' numbers do not compare", UserError);
  CHECK_THROWS_AS(check_space(reference, means.space("means", "9876543210"), "file"), UserError);
  CHECK_THROWS_WITH_AS(check_space({{0, Tensor::zeros({3}), {}, {}}, "", "", ""}, means.space(), "file"),
                       "'file' is of 3 features, those of the mode means are 2", UserError);
}

TEST_CASE("the cache measures once, anew for other images, and again what is damaged") {
  const TempFile file;
  const fs::path folder = file.path().parent_path() / "cache";
  Means means;
  const Images images = noise(90);
  const auto measure = [&](const FeatureSpace& space, std::int64_t count) {
    means.images = 0;
    return cached_reference(space, images, count, "noise", folder);
  };
  const Reference first = measure(means.space(), 80);
  CHECK(means.images == 80);
  CHECK(first.data.starts_with("noise, sha256 "));
  const Reference second = measure(means.space(), 80);
  CHECK(means.images == 0);
  CHECK(relative_error(second.statistics.covariance, first.statistics.covariance) == 0.0);
  CHECK(frechet_distance(first.statistics, second.statistics).value == doctest::Approx(0.0));
  measure(means.space(), 90);
  CHECK(means.images == 90);
  measure(means.space("means", "other"), 80);
  CHECK(means.images == 80);

  for (const auto& entry : fs::directory_iterator(folder)) fs::resize_file(entry.path(), 100);
  measure(means.space(), 80);
  CHECK(means.images == 80);
  measure(means.space(), 80);
  CHECK(means.images == 0);

  means.images = 0;
  CHECK(cached_reference(means.space(), images, 80, "noise", "").statistics.n == 80);
  CHECK(means.images == 80);
}
