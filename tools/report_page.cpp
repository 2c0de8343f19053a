#include "tools/report_page.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "data/codec.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tools/chain_diagnosis.h"
#include "tools/html.h"
#include "tools/report_curves.h"
#include "tools/results.h"
#include "tools/version.h"

namespace damc {
namespace {

namespace fs = std::filesystem;
using Runs = std::vector<RunView>;

constexpr std::int64_t kMostPictureBytes = 32 << 20;  // of all pictures together

std::string base64(std::span<const std::byte> bytes) {
  constexpr const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(bytes.size() - i, 3);
    unsigned group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < n ? std::to_integer<unsigned>(bytes[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j) text += j <= n ? digits[group >> (18 - 6 * j) & 63U] : '=';
  }
  return text;
}

/// A run's name in its colour.
std::string run_name(const Runs& runs, std::size_t run) {
  return fmt::format("<span class=\"run\" data-run=\"{}\">{}</span>", run, shown(runs[run].name));
}

/// The same below which a picture stands, where several runs have one.
std::string run_caption(const Runs& runs, std::size_t run) {
  return runs.size() > 1 ? fmt::format("<figcaption>{}</figcaption>", run_name(runs, run)) : "";
}

/// A row of a table: its name, and HTML for each run.
struct Row {
  std::string name;
  std::vector<std::string> cells;
};

/// A row whose cells are `cell(run)`.
template <class Cell>
Row row_of(const std::string& name, const Runs& runs, const Cell& cell) {
  Row row{name, {}};
  for (const RunView& run : runs) row.cells.push_back(cell(run));
  return row;
}

std::string table(const Runs& runs, const std::vector<Row>& rows) {
  std::string html = "<div class=\"scroll\"><table>\n<thead><tr><th></th>";
  for (std::size_t run = 0; run < runs.size(); ++run)
    html += fmt::format("<th scope=\"col\">{}</th>", run_name(runs, run));
  html += "</tr></thead>\n<tbody>\n";
  for (const Row& row : rows) {
    if (std::all_of(row.cells.begin(), row.cells.end(), [](const auto& cell) { return cell.empty(); }))
      continue;
    html += fmt::format("<tr><th scope=\"row\">{}</th>", shown(row.name));
    for (const std::string& cell : row.cells)
      html += fmt::format("<td>{}</td>", cell.empty() ? "&ndash;" : cell);
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::vector<std::string> metric_labels(const Runs& runs) {
  std::vector<std::string> labels;
  for (const RunView& run : runs) {
    for (const Metric& metric : run.metrics) {
      const std::string label = label_of(metric);
      if (std::find(labels.begin(), labels.end(), label) == labels.end()) labels.push_back(label);
    }
  }
  return labels;
}

/// The newest result of a metric.
std::string newest(const RunView& run, const std::string& label) {
  const auto found = std::find_if(run.metrics.rbegin(), run.metrics.rend(),
                                  [&](const Metric& metric) { return label_of(metric) == label; });
  if (found == run.metrics.rend()) return "";
  return fmt::format("{:.6g} <small>over {} images, iteration {}</small>", found->value, found->images,
                     found->iteration);
}

std::string alarms_html(const Runs& runs) {
  std::string html;
  for (std::size_t run = 0; run < runs.size(); ++run) {
    if (runs[run].alarms.empty()) continue;
    html += fmt::format("<h3>{}</h3>\n<ul>\n", run_name(runs, run));
    for (const std::string& alarm : runs[run].alarms) html += fmt::format("<li>{}</li>\n", shown(alarm));
    html += "</ul>\n";
  }
  if (html.empty()) return "";
  return fmt::format("<section class=\"alarms\"><h2>Alarms</h2>\n{}</section>\n", html);
}

std::string summary_html(const Runs& runs) {
  constexpr const char* states[] = {"done", "working", "stopped", "failed", "silent"};
  std::vector<Row> rows;
  for (std::size_t i = 0; i < runs[0].facts.size(); ++i) {
    rows.push_back(row_of(runs[0].facts[i].first, runs, [&](const RunView& run) {
      const std::string text = shown(run.facts[i].second);
      if (i > 0) return text;  // the first is the state
      return fmt::format("<span class=\"{}\">{}</span>", states[static_cast<int>(run.state)], text);
    }));
  }
  for (const std::string& label : metric_labels(runs))
    rows.push_back(row_of(label, runs, [&](const RunView& run) { return newest(run, label); }));
  return table(runs, rows);
}

std::string image_html(const fs::path& file, std::int64_t iteration, const std::string& what) {
  const std::vector<std::byte> bytes = read_file(file, kMaxImageBytes);
  const ImageHeader header = read_header(bytes, file.string());
  return fmt::format(
      "<img data-iteration=\"{}\" width=\"{}\" height=\"{}\" alt=\"{}\" src=\"data:image/png;base64,{}\">\n",
      iteration, header.width, header.height, shown(what), base64(bytes));
}

/// Every how many moments a picture is shown, so that all together are not too large: the newest of each kind always is.
std::int64_t picture_stride(const Runs& runs) {
  for (std::int64_t stride = 1;; ++stride) {
    std::int64_t bytes = 0;
    bool more = false;
    for (const RunView& run : runs) {
      for (const auto& [kind, files] : run.pictures) {
        std::int64_t i = 0;
        for (auto file = files.rbegin(); file != files.rend(); ++file, ++i) {
          if (i % stride == 0) bytes += regular_file_size(file->second);
          more |= i > 0 && i % stride == 0;
        }
      }
    }
    if (bytes <= kMostPictureBytes || !more) return stride;
  }
}

/// One kind of a run's pictures, every `stride`-th from the newest on; the moments are added to `moments`.
std::string moments_html(const Runs& runs, std::size_t run, const std::string& kind, std::int64_t stride,
                         std::set<std::int64_t>& moments) {
  const auto found = runs[run].pictures.find(kind);
  if (found == runs[run].pictures.end()) return "<figure></figure>\n";  // its column stays free
  std::string html = fmt::format("<figure class=\"moments\">{}\n", run_caption(runs, run));
  auto left = static_cast<std::int64_t>(found->second.size());
  for (const auto& [iteration, file] : found->second) {
    if (--left % stride != 0) continue;
    moments.insert(iteration);
    html += image_html(file, iteration,
                       fmt::format("{} of {} after iteration {}", kind, runs[run].name, iteration));
  }
  return html + "</figure>\n";
}

std::string pictures_html(const Runs& runs) {
  std::set<std::string> kinds;
  for (const RunView& run : runs) {
    for (const auto& [kind, files] : run.pictures) kinds.insert(kind);
  }
  if (kinds.empty()) return "<p>There are none yet.</p>\n";
  const std::int64_t stride = picture_stride(runs);
  std::set<std::int64_t> moments;
  std::string html;
  for (const std::string& kind : kinds) {
    html += fmt::format("<div><h3>{}</h3>\n<div class=\"columns\">\n", shown(kind));
    for (std::size_t run = 0; run < runs.size(); ++run)
      html += moments_html(runs, run, kind, stride, moments);
    html += "</div></div>\n";
  }
  const std::string note =
      stride > 1 ? fmt::format("One of {} is shown, so that the page stays small.", stride) : "";
  const std::string controls = fmt::format(
      "<p class=\"controls\"><label>iteration <input id=\"when\" type=\"range\" min=\"0\" max=\"{0}\" "
      "value=\"{0}\" "
      "data-moments=\"{1}\"> <output id=\"moment\"></output></label>\n"
      "<button id=\"play\" type=\"button\">play</button> <span class=\"note\">{2}</span></p>\n",
      moments.size() - 1, fmt::join(moments, " "), note);
  // A column for each kind of one run, or for each run.
  return fmt::format("{}<div{}>\n{}</div>\n", controls, runs.size() == 1 ? " class=\"columns\"" : "", html);
}

/// How the chains of a picture mix, as 'damc chain' has found: numbers, and words of this program.
std::string diagnosis_html(const std::filesystem::path& picture, std::int64_t steps) {
  const auto found = read_diagnosis(picture.parent_path() / fmt::format("diagnosis-{}.json", steps));
  return found ? fmt::format("<pre>{}</pre>\n", table(*found)) : "";
}

std::string chains_html(const Runs& runs) {
  std::string html;
  for (std::size_t run = 0; run < runs.size(); ++run) {
    for (const auto& [kind, files] : runs[run].chains) {
      for (const auto& [steps, file] : files) {
        html += fmt::format(
            "<figure><figcaption>{}: {}-{}</figcaption>\n{}{}</figure>\n", run_name(runs, run), shown(kind),
            steps, image_html(file, 0, fmt::format("{} {}", kind, steps)), diagnosis_html(file, steps));
      }
    }
  }
  if (!html.empty()) return fmt::format("<div class=\"columns wide\">\n{}</div>\n", html);
  return "<p>There are none in the run: <code>damc chain RUN</code> follows long ones and draws them.</p>\n";
}

/// What else belongs to a result: "mode fid-float, from damc".
std::string details_text(const Metric& metric) {
  std::string text;
  for (const auto& [key, value] : metric.details.items()) {
    if (key == "of") continue;  // in its name
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key,
                        value.is_string() ? value.get<std::string>() : value.dump());
  }
  return text;
}

/// All results of a run, the newest first.
std::string results_html(const RunView& run) {
  std::string html =
      "<div "
      "class=\"scroll\"><table>\n<thead><tr><th>metric</th><th>value</th><th>images</th><th>iteration</th>"
      "<th>weights</th><th>seed</th><th>details</th></tr></thead>\n<tbody>\n";
  for (auto metric = run.metrics.rbegin(); metric != run.metrics.rend(); ++metric) {
    html += fmt::format(
        "<tr><td>{}</td><td class=\"number\">{:.6g}</td><td class=\"number\">{}</td><td "
        "class=\"number\">{}</td>"
        "<td>{}</td><td class=\"number\">{}</td><td>{}</td></tr>\n",
        shown(label_of(*metric)), metric->value, metric->images, metric->iteration,
        metric->weights.empty() ? "while training" : shown(metric->weights), metric->seed,
        shown(details_text(*metric)));
  }
  return html + "</tbody></table></div>\n";
}

std::string metrics_html(const Runs& runs) {
  std::string html;
  for (std::size_t run = 0; run < runs.size(); ++run) {
    if (runs[run].metrics.empty()) continue;
    html += fmt::format("<h3>{}</h3>\n", run_name(runs, run));
    for (const std::string& history : runs[run].histories) html += fmt::format("<p>{}</p>\n", shown(history));
    html += results_html(runs[run]);
  }
  return html.empty() ? "<p>There are none yet: <code>damc eval RUN</code> measures.</p>\n" : html;
}

/// The keys whose values differ from the preset's or between the runs, and every run's configuration in full.
std::string configuration_html(const Runs& runs) {
  std::vector<Config> presets;
  for (const RunView& run : runs) presets.push_back(preset_config(run.config.preset));
  std::vector<Row> rows;
  for (const ConfigKey& key : config_keys()) {
    bool differs = false;
    std::size_t i = 0;
    const Row row = row_of(key.name, runs, [&](const RunView& run) {
      const std::string value = plain_text(run.config, key), usual = plain_text(presets[i++], key);
      differs |= value != usual || value != plain_text(runs[0].config, key);
      return value == usual ? shown(value)
                            : fmt::format("{} <small>(preset: {})</small>", shown(value), shown(usual));
    });
    if (differs) rows.push_back(row);
  }
  std::string html = rows.empty() ? "<p>As the preset has it.</p>\n" : table(runs, rows);
  for (std::size_t run = 0; run < runs.size(); ++run) {
    html += fmt::format("<details><summary>all of {}</summary><pre>{}</pre></details>\n", run_name(runs, run),
                        shown_lines(to_toml(runs[run].config)));
  }
  return html;
}

/// A template with every {{name}} replaced; what is put in is not looked into again.
std::string filled(std::string_view page, const std::map<std::string_view, std::string_view>& parts) {
  std::string text;
  for (std::size_t mark = page.find("{{"); mark != page.npos; mark = page.find("{{")) {
    const std::size_t end = page.find("}}", mark);
    text += page.substr(0, mark);
    text += parts.at(page.substr(mark + 2, end - mark - 2));
    page.remove_prefix(end + 2);
  }
  return text.append(page);
}

}  // namespace

std::string report_page(const Runs& runs, const PageFiles& files) {
  const RunCurves curves = run_curves(runs);
  std::string title = "damc:";
  for (const RunView& run : runs) title.append(" ").append(shown(run.name));
  const std::string version = version_text();
  const std::string made = fmt::format("{}, by {}", utc_time(), shown(version.substr(0, version.find('\n'))));
  const std::string alarms = alarms_html(runs), summary = summary_html(runs), pictures = pictures_html(runs),
                    metrics = metrics_html(runs), chains = chains_html(runs),
                    configuration = configuration_html(runs), thinning = shown(curves.note),
                    licence = shown_lines(files.dygraphs_licence);
  return filled(files.html, {{"title", title},
                             {"made", made},
                             {"alarms", alarms},
                             {"summary", summary},
                             {"pictures", pictures},
                             {"thinning", thinning},
                             {"metrics", metrics},
                             {"chains", chains},
                             {"configuration", configuration},
                             {"data", curves.json},
                             {"page.css", files.css},
                             {"page.js", files.js},
                             {"dygraphs.css", files.dygraphs_css},
                             {"dygraphs.js", files.dygraphs_js},
                             {"dygraphs.licence", licence}});
}

}  // namespace damc
