#include "tools/status_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>

#include "tools/screen.h"

namespace damc {

std::string duration_text(double seconds) {
  const auto s = std::llround(seconds);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

StatusLine::StatusLine(std::int64_t done, std::int64_t total)
    : total_(total),
      terminal_(isatty(STDOUT_FILENO) != 0),
      last_(Clock::now()),
      last_plain_(last_),
      last_done_(done) {}

StatusLine::~StatusLine() {
  if (shown_) show("\n");
}

void StatusLine::update(std::int64_t done, const std::string& details, bool due) {
  const auto now = Clock::now();
  const double took =
      std::chrono::duration<double>(now - last_).count() / static_cast<double>(done - last_done_);
  seconds_ = seconds_ == 0.0 ? took : 0.95 * seconds_ + 0.05 * took;
  last_ = now;
  last_done_ = done;
  const std::string line = fmt::format("iteration {}/{}  {:.3g} s/it  {} left  {}", done, total_, seconds_,
                                       duration_text(seconds_ * static_cast<double>(total_ - done)), details);
  if (terminal_) {
    show(fmt::format("\r{}\x1b[K", line));
    shown_ = true;
  } else if (due && (now - last_plain_ > std::chrono::seconds(5) || done == total_)) {
    show(line + "\n");
    last_plain_ = now;
  }
}

void StatusLine::print(const std::string& line) {
  show(fmt::format("{}{}\n", shown_ ? "\r\x1b[K" : "", line));
  shown_ = false;
}

}  // namespace damc
