/// Tables of results: how they are written, and which results a column holds.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "damc/model.h"
#include "tensor/error.h"
#include "tools/paper_cells.h"
#include "tools/results.h"
#include "tools/text_table.h"

using namespace damc;

namespace {

const TextTable kTable{"A <title>",
                       {"run", "method", "mse"},
                       {{"a|b, \"c\"", "vae", "0.5 (10)"}, {"<b>\n", "", "12 (10)"}},
                       {"a *note*"},
                       {"damc train"}};

}  // namespace

TEST_CASE("a table as Markdown, CSV and HTML: what it holds is no markup, numbers stand at the right") {
  CHECK(as_file(kTable, TableFormat::markdown) ==
        "A \\<title\\>\n\n| run | method | mse |\n| --- | --- | ---: |\n| a\\|b, \"c\" | vae | 0.5 (10) |\n"
        "| \\<b\\>\\\\n | - | 12 (10) |\n\na \\*note\\*\n\n```sh\ndamc train\n```\n");
  CHECK(as_file(kTable, TableFormat::csv) ==
        "run,method,mse\r\n\"a|b, \"\"c\"\"\",vae,0.5 (10)\r\n<b>\\n,,12 (10)\r\n");
  const std::string html = as_file(kTable, TableFormat::html);
  for (const char* part :
       {"<title>A &lt;title&gt;</title>",
        "<th>a|b, &quot;c&quot;</th><td>vae</td><td class=\"number\">0.5 (10)</td>",
        "<th>&lt;b&gt;\\n</th><td>&ndash;</td>", "<p>a *note*</p>", "<pre>\ndamc train\n</pre>"}) {
    CAPTURE(part);
    CHECK(html.find(part) != html.npos);
  }
}

TEST_CASE("a table on a screen: where it is too wide it goes on below, each part with the first column") {
  CHECK(
      on_screen(kTable, 80) ==
      "A <title>\n\nrun       method       mse\na|b, \"c\"  vae     0.5 (10)\n<b>\\n     -        12 (10)\n\n"
      "a *note*\n\ndamc train\n");
  CHECK(on_screen(kTable, 20) ==
        "A <title>\n\nrun       method\na|b, \"c\"  vae\n<b>\\n     -\n\nrun            mse\na|b, \"c\"  0.5 "
        "(10)\n"
        "<b>\\n      12 (10)\n\na *note*\n\ndamc train\n");
}

TEST_CASE("the format of a table is its file's suffix") {
  CHECK(table_format("a.b/c.md") == TableFormat::markdown);
  CHECK(table_format("c.csv") == TableFormat::csv);
  CHECK(table_format("c.html") == TableFormat::html);
  CHECK(table_format("C.MD") == TableFormat::markdown);
  CHECK(table_format("c.Csv") == TableFormat::csv);
  CHECK(table_format("C.HTML") == TableFormat::html);
  for (const char* file : {"c", "c.txt", "md", ".md", "c.mdd"})
    CHECK_THROWS_AS(table_format(file), UserError);
}

TEST_CASE("a column of results is a label, and an origin where a run has several") {
  const auto metric = [](const std::string& name, double value, nlohmann::ordered_json details) {
    return Metric{name, value, 10, 1, "", 1, std::move(details)};
  };
  const std::vector<Metric> one{metric("mse", 1, {}), metric("fid", 2, {{"from", "gaussian"}}),
                                metric("pca-fd", 3, {{"of", "samples"}, {"from", "gaussian"}})},
      two{metric("fid", 4, {{"from", "damc"}}),
          metric("fid", 5, {{"from", "lebm"}}),
          metric("fid", 6, {{"from", "damc"}}),
          metric("fid", 7, {{"from", "damc"}, {"solver", "ddim"}, {"solver_steps", 10}, {"eta", 0.5}}),
          metric("pca-fd", 8, {{"of", "reconstructions"}, {"from", "damc"}}),
          metric("mse", 9, {}),
          metric("mse", 10, {{"start", "noise"}, {"steps", 40}})};
  std::vector<std::string> names;
  for (const ResultKey& key : result_keys({&one, &two})) names.push_back(key.text());
  CHECK(names == std::vector<std::string>{"mse", "mse from noise in 40 steps", "fid from gaussian",
                                          "fid from damc", "fid from lebm",
                                          "fid from damc, ddim in 10 steps, eta 0.5", "pca-fd of samples",
                                          "pca-fd of reconstructions"});
  CHECK(newest_result(two, {"fid", "damc"})->value == 6);
  CHECK(newest_result(two, {"fid"})->value == 7);
  CHECK(newest_result(two, {"mse", ""})->value == 9);
  CHECK(newest_result(one, {"fid", "lebm"}) == nullptr);
}

namespace {

RunView run_of(const std::string& preset, const KeyValues& settings, std::int64_t iteration,
               std::vector<Metric> metrics = {}) {
  ConfigBuilder builder(preset);
  for (const auto& [key, value] : settings) builder.set(key, value);
  RunView run;
  run.name = run.folder = "runs/a run";
  run.config = builder.finish();
  run.numbers.iteration = iteration;
  run.metrics = std::move(metrics);
  return run;
}

const PaperTable& table_of(std::string_view name) {
  return *std::ranges::find(paper_tables(), name, &PaperTable::name);
}

const PaperRow& row_of(const PaperTable& table, std::string_view label) {
  return *std::ranges::find(table.rows, label, &PaperRow::label);
}

}  // namespace

TEST_CASE(
    "the paper's tables have a value for each column and metric, and methods, presets and sources that there "
    "are") {
  for (const PaperTable& table : paper_tables()) {
    CAPTURE(table.name);
    for (const PaperColumn& column : table.columns) CHECK_NOTHROW(find_preset(column.preset));
    for (const PaperRow& row : table.rows) {
      CAPTURE(row.label);
      CHECK(row.cells.size() == table.columns.size() * table.metrics.size());
      if (!row.method.empty()) CHECK_NOTHROW(method_parts(row.method));
      if (!row.from.empty()) CHECK(std::ranges::count(source_names(), row.from) == 1);
    }
  }
  for (const std::string& method : method_names()) {
    CAPTURE(method);
    ConfigBuilder builder("mnist-quick");
    for (const auto& [key, value] : KeyValues{
             {"method", method}, {"ngf", "2"}, {"nif", "2"}, {"nemb", "8"}, {"ndf", "8"}, {"width", "0.1"}})
      builder.set(key, value);
    CHECK(own_source(method_parts(method)) == Model(builder.finish()).sources().front());
  }
  // Chance and the least possible, of the counts of the paper's split.
  const PaperTable& anomalies = table_of("3");
  CHECK(row_of(anomalies, "random score").cells[4].value == doctest::Approx(6958.0 / (6958.0 + 12609.0)));
  CHECK(row_of(anomalies, "least possible").cells[0].value == doctest::Approx(0.226).epsilon(0.003));
}

TEST_CASE("a cell takes the run that is nearest to the paper's, and says what is not as published") {
  const PaperTable& steps = table_of("s6");
  const std::vector<RunView> runs{run_of("cifar10", {{"posterior_steps", "10"}, {"seed", "2"}}, 200000),
                                  run_of("cifar10", {{"posterior_steps", "10"}, {"ngf", "8"}}, 200000),
                                  run_of("cifar10", {{"method", "sr-lebm"}, {"posterior_steps", "10"}}, 9),
                                  run_of("svhn", {{"posterior_steps", "10"}}, 9)};
  const PaperCell short_chains = paper_cell(steps, row_of(steps, "T=10"), 0, runs);
  REQUIRE(short_chains.run);
  CHECK(short_chains.run->view == &runs[0]);
  CHECK(short_chains.run->differences.empty());
  CHECK_FALSE(paper_cell(steps, row_of(steps, "T=30"), 0, runs).run);
  const PaperTable& all = table_of("1");
  const PaperCell near = paper_cell(all, row_of(all, "Ours-DAMC"), 4, {runs[1]});
  REQUIRE(near.run);
  CHECK(near.run->differences == std::vector<std::string>{"ngf 8 for 128", "posterior_steps 10 for 30"});
}

TEST_CASE("a cell's value is of its own source and start; commands train what is missing, or measure it") {
  const auto metric = [](const std::string& name, double value, nlohmann::ordered_json details,
                         const std::string& weights = "w") {
    return Metric{name, value, 50, 9, weights, 1, std::move(details)};
  };
  const PaperTable& ablations = table_of("4");
  const PaperRow &vanilla = row_of(ablations, "DAMC-LEBM V."), &sampler = row_of(ablations, "DAMC-LEBM D.");
  const std::vector<RunView> runs{run_of("cifar10", {}, 9,
                                         {metric("mse", 1.0, {{"start", "noise"}, {"steps", 40}}),
                                          metric("mse", 2.0, {}), metric("fid", 3.0, {{"from", "damc"}})})};
  CHECK(result_of(paper_cell(ablations, vanilla, 0, runs))->value == 1.0);
  CHECK(result_of(paper_cell(ablations, sampler, 0, runs))->value == 2.0);
  CHECK(result_of(paper_cell(ablations, sampler, 1, runs))->value == 3.0);
  const PaperCell missing = paper_cell(ablations, vanilla, 1, runs);
  CHECK_FALSE(result_of(missing));
  CHECK(commands_for(missing) ==
        std::vector<std::string>{"damc eval 'runs/a run' --metric fid --from lebm --inception FILE"});
  CHECK(commands_for(paper_cell(ablations, vanilla, 1, {})) ==
        std::vector<std::string>{
            "damc train --preset cifar10 --method damc --data DIR --out runs --set eval_every=200000 --set "
            "eval_metrics=mse,fid --set inception=FILE",
            "damc eval RUN --metric mse,fid --test-start noise --test-posterior-steps 40 --from lebm "
            "--inception "
            "FILE"});

  const PaperTable& anomalies = table_of("3");
  const PaperRow& ours = row_of(anomalies, "Ours");
  CHECK(commands_for(paper_cell(anomalies, ours, 4, {})) ==
        std::vector<std::string>{
            "damc train --preset mnist-anomaly --method damc --set holdout=9 --data data/mnist --out runs"});
  const std::vector<RunView> trained{
      run_of("mnist-anomaly", {{"holdout", "9"}}, 9,
             {metric("auprc", 0.5, {}, ""), metric("auprc", 0.7, {}, ""), metric("auprc", 0.1, {})})};
  const auto found = result_of(paper_cell(anomalies, ours, 4, trained));
  REQUIRE(found);
  CHECK(found->value == doctest::Approx(0.6));
  CHECK(found->deviation == doctest::Approx(std::sqrt(0.02)));
  CHECK_FALSE(paper_cell(anomalies, ours, 0, trained).run);  // of another digit
}
