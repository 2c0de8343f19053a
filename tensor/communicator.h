/// Processes that work together, each on its part of every batch. They go through the same calls in the same order: each
/// call here waits for all of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tensor/part.h"
#include "tensor/tensor.h"

namespace damc {

/// Sums over the processes that may travel while more of them are still being computed. All processes put the same
/// places in the same order.
class Sums {
 public:
  virtual ~Sums() = default;
  /// What this process adds to the sum of a place.
  virtual void put(std::size_t place, const Tensor& mine) = 0;
  /// The sums of all places, each of which was put once.
  virtual std::vector<Tensor> finish() = 0;
};

class Communicator {
 public:
  virtual ~Communicator() = default;

  /// Which of the processes this one is.
  virtual Part part() const = 0;
  /// Whether it is the one that writes files and speaks.
  bool leads() const { return part().index == 0; }

  /// Sums over the processes of tensors that have the same shapes and type in each, added in the order of the processes:
  /// all get the same bits.
  virtual std::vector<Tensor> sum(const std::vector<Tensor>& tensors) const = 0;
  /// The same for `places` tensors one by one. This one sends them together, by sum().
  virtual std::unique_ptr<Sums> sums(std::size_t places) const;
  /// The rows of all processes, [n, ...] of each, in their order.
  virtual Tensor gather(const Tensor& rows) const = 0;

  // Agreements on the host, with no part in a captured step.
  /// The texts of all processes, in their order.
  virtual std::vector<std::string> gather(const std::string& text) const = 0;
  /// The largest number of all.
  virtual std::int64_t max(std::int64_t number) const = 0;
  /// Returns when all have called it.
  void wait() const { max(0); }
};

/// Sums that wait for the last.
class SumsAtOnce final : public Sums {
 public:
  SumsAtOnce(const Communicator& among, std::size_t places) : among_(among), mine_(places) {}
  void put(std::size_t place, const Tensor& mine) override { mine_[place] = mine; }
  std::vector<Tensor> finish() override { return among_.sum(mine_); }

 private:
  const Communicator& among_;
  std::vector<Tensor> mine_;
};

inline std::unique_ptr<Sums> Communicator::sums(std::size_t places) const {
  return std::make_unique<SumsAtOnce>(*this, places);
}

/// A single process.
class Alone final : public Communicator {
 public:
  Part part() const override { return {}; }
  std::vector<Tensor> sum(const std::vector<Tensor>& tensors) const override { return tensors; }
  Tensor gather(const Tensor& rows) const override { return rows; }
  std::vector<std::string> gather(const std::string& text) const override { return {text}; }
  std::int64_t max(std::int64_t number) const override { return number; }
};

/// What code that works in one process passes on.
inline const Communicator& alone() {
  static const Alone one;
  return one;
}

}  // namespace damc
