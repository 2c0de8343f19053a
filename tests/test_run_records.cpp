/// metrics.jsonl: what is read is what was written, and how a metric went over a training.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>

#include "damc/run_records.h"
#include "tensor/error.h"
#include "tests/tensor_files.h"

using namespace damc;

TEST_CASE("metrics are read as they were written") {
  const TempFile file;
  const fs::path folder = file.path().parent_path();
  CHECK(read_metrics(folder).empty());
  append_metric(folder, {"auprc", 0.25, 100, 500, "", 3, {{"holdout", 4}}});
  append_metric(folder, {"mse", 0.5, 10, 600, "model-000600.safetensors", 7});
  const std::vector<Metric> read = read_metrics(folder);
  REQUIRE(read.size() == 2);
  CHECK(read[0].name == "auprc");
  CHECK(read[0].value == 0.25);
  CHECK(read[0].images == 100);
  CHECK(read[0].iteration == 500);
  CHECK(read[0].weights.empty());
  CHECK(read[0].seed == 3);
  CHECK(read[0].details.dump() == R"({"holdout":4})");
  CHECK(read[1].weights == "model-000600.safetensors");
  CHECK(read[1].details.empty());

  for (const std::string line : {"{\"metric\":", "[1]", "{\"metric\":\"mse\",\"value\":\"much\"}", "{}"}) {
    std::ofstream(folder / "metrics.jsonl") << line << "\n";
    CHECK_THROWS_AS(read_metrics(folder), UserError);
  }
}

TEST_CASE("history: the last ten evaluations of a training, and the best of all") {
  std::vector<Metric> metrics;
  for (int i = 1; i <= 12; ++i) {
    const double value = i == 1 ? 0.9 : 0.1 * (i % 3);
    metrics.push_back({"auprc", value, 100, 500 * i, "", 1});
    metrics.push_back({"mse", 7.0, 100, 500 * i, "", 1});
    metrics.push_back({"auprc", 0.99, 100, 500 * i, "model-1.safetensors", 1});  // by damc eval
  }
  const MetricHistory found = metric_history(metrics, "auprc");
  CHECK(found.evaluations == 12);
  CHECK(found.last == 10);
  // Evaluations 3 to 12: 0 .1 .2 0 .1 .2 0 .1 .2 0.
  CHECK(found.mean == doctest::Approx(0.09));
  CHECK(found.deviation == doctest::Approx(std::sqrt((4 * 0.0081 + 3 * 0.0001 + 3 * 0.0121) / 9.0)));
  CHECK(found.best == 0.9);
  CHECK(found.best_iteration == 500);
  CHECK(metric_history(metrics, "fid").evaluations == 0);
  CHECK(metric_history({metrics[0]}, "auprc").deviation == 0.0);
}
