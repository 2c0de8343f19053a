/// Tables of results: how they are written, and which results a column holds.
#include <doctest/doctest.h>

#include "tensor/error.h"
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
  for (const char* file : {"c", "c.txt", "md", ".md", "c.MD"}) CHECK_THROWS_AS(table_format(file), UserError);
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
          metric("mse", 9, {})};
  std::vector<std::string> names;
  for (const ResultKey& key : result_keys({&one, &two})) names.push_back(key.text());
  CHECK(names == std::vector<std::string>{"mse", "fid from gaussian", "fid from damc", "fid from lebm",
                                          "fid from damc, ddim in 10 steps, eta 0.5", "pca-fd of samples",
                                          "pca-fd of reconstructions"});
  CHECK(newest_result(two, {"fid", "damc"})->value == 6);
  CHECK(newest_result(two, {"fid", ""})->value == 7);
  CHECK(newest_result(two, {"mse", ""})->value == 9);
  CHECK(newest_result(one, {"fid", "lebm"}) == nullptr);
}
