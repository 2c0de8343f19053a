/// How far long work has come: on a terminal one line that rewrites itself, elsewhere a plain line at intervals.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace damc {

class StatusLine {
 public:
  /// `total` pieces of work, called `what`, of which `done` are behind us.
  StatusLine(std::int64_t done, std::int64_t total, std::string what = "iteration");
  /// Takes the line away when all is done, and else leaves it.
  ~StatusLine();
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  /// After piece number `done`: rate, time left and `details`, the last ones where these are empty. `due` marks the
  /// moments a plain output reports. A terminal's line is drawn ten times a second at most, and cut to its width.
  void update(std::int64_t done, const std::string& details, bool due);
  /// A line of its own above the status line.
  void print(const std::string& line);

  /// Smoothed seconds of one piece.
  double seconds_per_iteration() const { return seconds_; }

 private:
  using Clock = std::chrono::steady_clock;

  std::string text() const;
  void draw(const std::string& line);
  std::string erasure() const;

  std::int64_t total_;
  std::string what_, details_;
  bool terminal_;
  Clock::time_point last_, last_plain_, drawn_;
  std::int64_t done_;
  double seconds_ = 0.0;
  int shown_ = 0;  // columns of the line that stands there
};

/// "1:02:03" or "4:05"
std::string duration_text(double seconds);

}  // namespace damc
