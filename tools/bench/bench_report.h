/// Timing, and what is told of it: a table for the reader and JSON for compare.py.
///
/// Machines are noisy, so everything is a median. The rate of a square matrix product in the precision of the
/// run, what the machine can do, is taken again before and after every group of measurements and between the
/// rounds of long ones; the median of all of them is what the shares (of_gemm) refer to, so both sides of a
/// share have seen the same load.
#pragma once

#include <cstdio>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "damc/precision.h"
#include "tensor/tensor.h"

namespace damc {

/// What was measured. `gflop` is the work by the rule of work.h; `gbytes` what a kernel moves whose limit is
/// the memory.
struct BenchRow {
  std::string suite, name, part;
  std::int64_t batch = 1;
  double gflop = 0.0;
  double gbytes = 0.0;
  double seconds = 0.0;  ///< median
};

class BenchReport {
 public:
  /// Each measurement is repeated `repeat` times. The gemm rate is that of `precision`.
  BenchReport(Device device, Precision precision, int repeat);

  Device device() const { return device_; }
  Precision precision() const { return precision_; }
  int repeat() const { return repeat_; }

  /// Seconds since some moment, once the device has done all it was given.
  double clock() const;
  /// Times `work` after a round of warm-up and adds the row. Work much shorter than 20 ms is repeated within
  /// a round.
  void measure(BenchRow row, const std::function<void()>& work);
  /// Adds a row from the seconds of each repeat.
  void add(BenchRow row, std::vector<double> seconds);
  /// Measures the matrix product's rate once more.
  void sample_gemm();

  const std::vector<BenchRow>& rows() const { return rows_; }
  void print_table(std::FILE* to = stdout) const;
  nlohmann::json to_json() const;

 private:
  std::vector<double> times(int rounds, const std::function<void()>& work) const;
  double gemm_gflops() const;

  Device device_;
  Precision precision_;
  int repeat_;
  std::int64_t gemm_size_;
  Tensor a_, b_;  // factors of the product
  std::vector<double> gemm_seconds_;
  std::vector<BenchRow> rows_;
};

}  // namespace damc
