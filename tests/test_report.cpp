/// What a report shows: curves and their thinning; letters on a canvas.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tools/canvas.h"
#include "tools/report_curves.h"

using namespace damc;
using Json = nlohmann::json;

namespace {

RunView run_of(const std::string& name, int lines) {
  RunView run;
  run.name = name;
  run.stats.columns = {{"loss_g", {}}, {"loss_q", {}}, {"z_norm", {}}};
  for (int i = 1; i <= lines; ++i) {
    run.stats.iterations.push_back(10 * i);
    for (StatsTable::Column& column : run.stats.columns) column.values.push_back(i % 2 ? i : -i);
  }
  return run;
}

}  // namespace

TEST_CASE("curves share a chart by their names, and every run has its own") {
  RunView first = run_of("a</script>", 3), second = run_of("b", 2);
  first.stats.columns[0].values[1] = std::nan("");
  first.metrics = {{"pca-fd", 4.0, 10, 10, "", 1, {{"of", "samples"}}},
                   {"pca-fd", 3.0, 10, 20, "", 1, {{"of", "samples"}}},
                   {"mse", 3.0, 10, 20, "", 1}};  // at one iteration alone: no curve
  const RunCurves curves = run_curves({first, second});
  CHECK(curves.note.empty());
  CHECK(curves.json.find('<') == curves.json.npos);
  const Json json = Json::parse(curves.json);
  CHECK(json["runs"] == Json{"a</script>", "b"});
  REQUIRE(json["charts"].size() == 3);
  CHECK(json["charts"][0]["title"] == "loss");
  CHECK(json["charts"][1]["title"] == "z_norm");
  CHECK(json["charts"][2]["title"] == "metric: pca-fd");
  const Json& loss = json["charts"][0]["series"];
  REQUIRE(loss.size() == 4);
  CHECK(loss[0] == Json::parse(R"({"run":0,"table":0,"name":"loss_g","y":[1.0,null,3.0]})"));
  CHECK(loss[3] == Json::parse(R"({"run":1,"table":1,"name":"loss_q","y":[1.0,-2.0]})"));
  CHECK(json["tables"][0] == Json{10, 20, 30});
  CHECK(json["charts"][2]["series"][0]["name"] == "pca-fd of samples");
  CHECK(json["tables"][2] == Json{10, 20});
}

TEST_CASE("numbers near either end of what a number can be are drawn") {
  RunView run = run_of("a", 2);
  run.stats.columns[0].values = {1e-310, -1.5e308};
  const Json json = Json::parse(run_curves({run}).json);
  CHECK(json["charts"][0]["series"][0]["y"] == Json{1e-310, -1.5e308});
}

TEST_CASE("long records are thinned to means, and to what they lie between") {
  const RunCurves curves = run_curves({run_of("long", 4001)});
  CHECK(curves.note.find("the mean of 3 records") != curves.note.npos);
  const Json json = Json::parse(curves.json);
  CHECK(json["tables"][0].size() == 1334);
  CHECK(json["tables"][0].back() == 40010);
  const Json& series = json["charts"][0]["series"][0];
  CHECK(series["y"].size() == 1334);
  CHECK(series["y"][0] == doctest::Approx(2.0 / 3.0).epsilon(1e-5));
  CHECK(series["low"][0] == -2.0);
  CHECK(series["high"][0] == 3.0);

  const double nan = std::nan("");
  const Points points = thinned({1.0, nan, nan, nan, 5.0}, 2);
  CHECK(points.mean[0] == 1.0);
  CHECK(std::isnan(points.mean[1]));
  CHECK(std::isnan(points.low[1]));
  CHECK(points.high[2] == 5.0);
}

TEST_CASE("letters stand where they should, and what falls outside is left out") {
  const auto drawn = [](std::int64_t x, std::int64_t y, const char* text, std::int64_t scale) {
    Canvas canvas(9, 12);
    canvas.text(x, y, text, {0, 0, 0}, scale);
    const Images picture = canvas.picture();
    std::string rows;
    for (std::int64_t i = 0; i < 9 * 12; ++i) {
      rows += picture.pixels[static_cast<std::size_t>(3 * i)] == 0 ? '#' : '.';
      if (i % 12 == 11) rows += '\n';
    }
    return rows;
  };
  CHECK(drawn(1, 0, "1y", 1) ==
        "...#........\n"
        "..##........\n"
        ".#.#...#...#\n"
        "...#...#...#\n"
        "...#...#...#\n"
        "...#...#...#\n"
        ".#####..####\n"
        "...........#\n"
        "........###.\n");
  const std::string two_rows = drawn(-8, -12, "1", 2);
  CHECK(two_rows.starts_with("##..........\n##..........\n......"));
  CHECK(std::count(two_rows.begin(), two_rows.end(), '#') == 4);
  CHECK(drawn(0, 0, "\t~", 1).find('#') == std::string::npos);  // no such letters
  CHECK(Canvas::text_width("1y", 2) == 22);
}
