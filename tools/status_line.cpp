#include "tools/status_line.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "tensor/text.h"
#include "tools/screen.h"
#include "tools/terminal.h"

namespace damc {

std::string duration_text(double seconds) {
  const auto s = std::llround(seconds);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

StatusLine::StatusLine(std::int64_t done, std::int64_t total, std::string what)
    : total_(total),
      what_(std::move(what)),
      terminal_(rewritable_terminal()),
      last_(Clock::now()),
      last_plain_(last_),
      drawn_(last_ - std::chrono::hours(1)),
      done_(done) {}

StatusLine::~StatusLine() {
  if (shown_ > 0) show(done_ == total_ ? erasure() : "\n");
}

std::string StatusLine::text() const {
  return fmt::format("{} {}/{}  {:.3g} s/{}  {} left{}{}", what_, done_, total_, seconds_,
                     what_ == "iteration" ? "it" : what_,
                     duration_text(seconds_ * static_cast<double>(total_ - done_)),
                     details_.empty() ? "" : "  ", details_);
}

void StatusLine::update(std::int64_t done, const std::string& details, bool due) {
  const auto now = Clock::now();
  if (done > done_) {
    const double took =
        std::chrono::duration<double>(now - last_).count() / static_cast<double>(done - done_);
    seconds_ = seconds_ == 0.0 ? took : 0.95 * seconds_ + 0.05 * took;
  }
  last_ = now;
  done_ = done;
  if (!details.empty()) details_ = details;
  if (terminal_) {
    if (now - drawn_ < std::chrono::milliseconds(100) && done != total_) return;
    drawn_ = now;
    draw(text());
  } else if (due && (now - last_plain_ > std::chrono::seconds(5) || done == total_)) {
    show(text() + "\n");
    last_plain_ = now;
  }
}

/// In one write, without the last column: a line that fills it makes some terminals go to the next.
void StatusLine::draw(const std::string& line) {
  const std::string one_line = escaped(line);
  const std::string_view cut = cut_to(one_line, terminal_columns() - 1);
  show(fmt::format("{}{}", erasure(), cut));
  shown_ = columns_of(cut);
}

/// What removes the line that stands there. A terminal that has become narrower has broken it into several.
std::string StatusLine::erasure() const {
  const int rows_above = shown_ > 0 ? (shown_ - 1) / terminal_columns() : 0;
  return (rows_above > 0 ? fmt::format("\x1b[{}A", rows_above) : std::string()) + "\r\x1b[J";
}

void StatusLine::print(const std::string& line) {
  show(fmt::format("{}{}\n", shown_ > 0 ? erasure() : std::string(), line));
  shown_ = 0;
  drawn_ -= std::chrono::hours(1);  // the status comes back with the next update
}

}  // namespace damc
