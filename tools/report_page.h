/// The page of a report: one HTML file that needs nothing else. Everything that comes from a run is escaped.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/report_run.h"

namespace damc {

/// What the page is made of besides the runs (tools/report/, and dygraphs, which draws the curves).
struct PageFiles {
  std::string_view html, css, js;
  std::string_view dygraphs_js, dygraphs_css, dygraphs_licence;
};

/// As they were when the program was built; none where dygraphs was not there then.
std::optional<PageFiles> page_files();

/// The page of these runs, side by side. Throws UserError for a picture that is damaged.
std::string report_page(const std::vector<RunView>& runs, const PageFiles& files);

}  // namespace damc
