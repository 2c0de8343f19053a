/// `damc report`: one page to look at a run, or at runs beside each other.

#include <span>

#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/text.h"
#include "tools/commands.h"
#include "tools/report_page.h"
#include "tools/shared_options.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

struct ReportOptions {
  std::vector<std::string> runs;
  std::string out;
};

void report(const ReportOptions& options) {
  const std::optional<PageFiles> files = page_files();
  if (!files) {
    user_error("report: this build has no dygraphs, which draws the curves of the page",
               "install the package libjs-dygraphs, run cmake again, and build");
  }
  const std::vector<RunView> runs = view_runs(options.runs);
  const fs::path first = fs::canonical(options.runs[0]);
  const fs::path out = !options.out.empty()
                           ? fs::path(options.out)
                           : (runs.size() == 1 ? first : first.parent_path()) / "report.html";
  check_output_file("--out", out, {".html", ".htm"});
  const std::string page = report_page(runs, *files);
  atomic_write_file(out, std::as_bytes(std::span(page)));
  if (is_standard_output(out)) return;
  fmt::print("{}: {} run{}, {:.1f} MiB\n", escaped(out.native()), runs.size(), runs.size() == 1 ? "" : "s",
             static_cast<double>(page.size()) / 1048576.0);
}

}  // namespace

void add_report_command(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("report", "Make a page to look at a run, or at several beside each other");
  auto options = std::make_shared<ReportOptions>();
  command->add_option("runs", options->runs, "run folders, also of runs that train")
      ->type_name("RUN")
      ->required();
  command
      ->add_option("--out", options->out,
                   "the page, one file that needs no other (default: report.html in the run; beside the "
                   "first of several)")
      ->type_name("FILE.html");
  command->callback([options] { report(*options); });
}

}  // namespace damc
