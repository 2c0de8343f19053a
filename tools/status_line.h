/// What a training run shows: on a terminal one line that rewrites itself, elsewhere a plain line at
/// intervals.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace damc {

class StatusLine {
 public:
  /// `total` iterations, of which `done` are behind us.
  StatusLine(std::int64_t done, std::int64_t total);
  ~StatusLine();

  /// After iteration number `done`: rate, time left and `details`. `due` marks the moments a plain output
  /// reports.
  void update(std::int64_t done, const std::string& details, bool due);
  /// A line of its own above the status line.
  void print(const std::string& line);

  /// Smoothed seconds of one iteration.
  double seconds_per_iteration() const { return seconds_; }

 private:
  using Clock = std::chrono::steady_clock;

  std::int64_t total_;
  bool terminal_;
  Clock::time_point last_, last_plain_;
  std::int64_t last_done_;
  double seconds_ = 0.0;
  bool shown_ = false;
};

/// "1:02:03" or "4:05"
std::string duration_text(double seconds);

}  // namespace damc
