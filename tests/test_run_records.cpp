/// metrics.jsonl and stats.jsonl: what is read is what was written, and how a metric went over a training.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <functional>

#include "damc/alarms.h"
#include "damc/run_folder.h"
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

TEST_CASE("numbers of iterations are read as columns, by the names that the lines have") {
  const TempFile file;
  const fs::path folder = file.path().parent_path();
  CHECK(read_stats(folder).iterations.empty());
  Stats stats;
  stats.add("loss_g", 2.5);
  stats.add("energy_plus", 3.0);
  stats.add("energy_minus", std::nan(""));
  append_stats(folder, {50, 400, 0, ""}, stats, 0.5, 1 << 20);
  std::ofstream(folder / "stats.jsonl", std::ios::app) << R"({"iteration":100,"tau":7,"note":"a text"})"
                                                       << "\n";
  const StatsTable read = read_stats(folder);
  CHECK(read.iterations == std::vector<std::int64_t>{50, 100});
  CHECK(read.images_seen == std::vector<std::int64_t>{400, 0});
  CHECK(read.times[0].size() == std::string("2026-01-31T23:59:59Z").size());
  CHECK(read.times[1].empty());
  std::string names;
  for (const StatsTable::Column& column : read.columns) names += column.name + " ";
  CHECK(names == "loss_g energy_plus seconds_per_iteration memory_mib tau ");
  CHECK(read.find("loss_g")->at(0) == 2.5);
  CHECK(std::isnan(read.find("loss_g")->at(1)));
  CHECK(std::isnan(read.find("tau")->at(0)));
  CHECK(read.find("tau")->at(1) == 7.0);
  CHECK(read.find("note") == nullptr);
  REQUIRE(read.non_finite.size() == 2);  // an energy and so the gap
  CHECK(read.non_finite[0].iteration == 50);
  CHECK(read.non_finite[0].name == "energy_minus");
}

TEST_CASE("a last line that is being written is left out, any other damage is told with its line") {
  const TempFile file;
  const fs::path folder = file.path().parent_path();
  const auto lines_of = [&](const std::string& text) {
    std::ofstream(folder / "stats.jsonl") << text;
    return read_stats(folder).iterations.size();
  };
  const std::string whole = R"({"iteration":1,"loss":2})";
  CHECK(lines_of(whole) == 1);  // whole without an end
  for (std::size_t cut = 0; cut < whole.size(); ++cut)
    CHECK(lines_of(whole + "\n" + whole.substr(0, cut)) == 1);
  std::string many = R"({"iteration":1)";
  for (int i = 0; i < 300; ++i) many += fmt::format(R"(,"n{}":1)", i);
  for (const std::string& bad : {whole.substr(0, 9), std::string("[1]"),
                                 std::string(R"({"iteration":1.5e300})"), std::string(R"({"iteration":-1})"),
                                 R"({"iteration":1,"x":")" + std::string(70000, 'x') + "\"}", many + "}"}) {
    CHECK_THROWS_AS(lines_of(whole + "\n" + bad + "\n" + whole), UserError);
  }
  CHECK_THROWS_WITH_AS(lines_of(whole + "\n{\n" + whole), doctest::Contains("line 2 of"), UserError);
}

TEST_CASE("a line that has no end takes nothing from the one that follows; empty lines count for nothing") {
  const TempFile file;
  const fs::path folder = file.path().parent_path(), metrics = folder / "metrics.jsonl";
  std::ofstream(metrics) << "\n"
                         << R"({"metric":"mse","value":2,"images":1,"iteration":1,"seed":1})";
  append_metric(folder, {"mse", 0.5, 10, 600, "", 7});
  std::ofstream(metrics, std::ios::app) << " \r\n\n";
  append_metric(folder, {"mse", 0.25, 10, 700, "", 7});
  const std::vector<Metric> read = read_metrics(folder);
  REQUIRE(read.size() == 3);
  CHECK((read[0].value == 2.0 && read[1].value == 0.5 && read[2].value == 0.25));
}

TEST_CASE("the log is read with its times, pictures by what they show and when") {
  const TempFile file;
  const fs::path folder = file.path().parent_path();
  CHECK(read_log(folder).empty());
  append_log(folder, "iteration 5  loss\nG");
  std::ofstream(folder / "log.txt", std::ios::app) << "an old line without a time\nhalf a li";
  const std::vector<LogLine> log = read_log(folder);
  REQUIRE(log.size() == 2);
  CHECK(log[0].text == "iteration 5  loss\\nG");
  CHECK(seconds_of(log[0].time).has_value());
  CHECK(log[1].time.empty());
  CHECK(log[1].text == "an old line without a time");
  CHECK(seconds_of("2026-01-31T23:59:59Z") == 1769903999);
  CHECK_FALSE(seconds_of("2026-01-31T23:59:59"));
  CHECK_FALSE(seconds_of(""));

  for (const char* name :
       {"a-b-000010.png", "a-b-000002.png", "c-1.png", "c-1.jpg", "c.png", "c-x.png", "-1.png", "1.png"})
    std::ofstream(folder / name) << "x";
  fs::create_directory(folder / "c-2.png");
  std::string found;
  for (const auto& [kind, files] : numbered_pictures(folder)) {
    for (const auto& [number, path] : files) found += fmt::format("{}:{} ", kind, number);
  }
  CHECK(found == ":1 a-b:2 a-b:10 c:1 ");
  CHECK(numbered_pictures(folder / "none").empty());
  CHECK_THROWS_WITH_AS(numbered_pictures(folder / "a-b-000010.png"),
                       doctest::Contains("a-b-000010.png': Not a directory"), UserError);
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
  for (Metric& metric : metrics) {
    if (metric.iteration == 1000) metric.value = std::nan("");
  }
  CHECK(metric_history(metrics, "auprc").best == 0.9);  // although what is no number comes later
  CHECK(metric_history({metrics[3], metrics[6]}, "auprc").best_iteration == 1500);
  CHECK(metric_history(metrics, "fid").evaluations == 0);
  CHECK(metric_history({metrics[0]}, "auprc").deviation == 0.0);
}

TEST_CASE("alarms: each of what is wrong, and none of a run that does well") {
  const auto table = [](const char* name, const std::function<double(int)>& value) {
    StatsTable stats;
    stats.columns.push_back({name, {}});
    for (int i = 0; i < 100; ++i) {
      stats.iterations.push_back(50 * i);
      stats.columns[0].values.push_back(value(i));
    }
    return stats;
  };
  const auto noise = [](int i) { return i % 7 == 3 ? 30.0 : 1.0; };  // single peaks are none
  CHECK(alarms(table("loss_g", [&](int i) { return (200.0 - i) * noise(i); })).empty());
  CHECK(alarms(table("energy_gap", noise)).empty());
  CHECK(alarms(table("stability_prior", [](int) { return 1.9; })).empty());
  CHECK(alarms(table("loss_g", [](int i) { return i < 50 ? -1.0 : 100.0; })).empty());  // no ratio
  CHECK(alarms(table("lr_g", [](int i) { return i; })).empty());
  CHECK(alarms(StatsTable{}).empty());

  const auto alarm = [](const StatsTable& stats) {
    const std::vector<std::string> found = alarms(stats);
    return found.size() == 1 ? found[0] : fmt::format("{} alarms", found.size());
  };
  CHECK(alarm(table("loss_q", [](int i) { return i < 80 ? 100.0 - i : 200.0; })) ==
        "divergence: loss_q is 200 at the end and was 26");
  CHECK(alarm(table("energy_gap", [](int i) {
          return i < 90 ? -1.0 : -40.0;
        })).starts_with("energy gap: E+ - E- is -40"));
  CHECK(alarm(table("stability_posterior", [](int) {
          return 4.4;
        })).starts_with("unstable chains: stability_posterior is 4.4"));
  StatsTable stats = table("loss_g", noise);
  stats.non_finite = {{350, "loss_g"}, {400, "loss_g"}};
  CHECK(alarm(stats) == "not finite: loss_g at iteration 350, the first of 2 numbers");
}
