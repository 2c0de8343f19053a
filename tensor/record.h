/// Captured steps: work of fixed shapes that runs many times, recorded once, then replayed as one piece of work.
///
/// An iteration of training is some ten thousand small kernels, and to start each of them from the host takes longer
/// than to run it. On CUDA a step runs twice as it is written, is recorded into a graph the third time, and from then
/// on only the graph runs. Recorded steps share their memory, and results are copied to tensors of their own: a
/// device holds about as much as its largest step needs. On the CPU nothing is recorded and the step always runs as
/// it is written; the pool of the backend makes that free of allocations after the first time.
///
/// The rules of a captured step, so that a replay does what the step would do:
/// - What changes from call to call is an input, or lies in a tensor that lives longer than the step: weights, a
///   learning rate, the position of a Generator. A number on the host is recorded with the value that it had.
/// - It copies nothing between host and device; item() is such a copy. That is an Error on every device, the CPU
///   included.
/// - Its only effects are its results and writes to tensors that live longer than it: its host code no longer runs once
///   it is recorded. It keeps no other tensor that it has made.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "tensor/backend.h"
#include "tensor/step.h"

namespace damc {

using Tensors = std::vector<Tensor>;

/// Calls until a step is recorded where steps are: what a measurement leaves out.
inline constexpr int kCallsUntilRecorded = 3;

class Captured {
 public:
  using Step = std::function<Tensors(const Tensors& inputs)>;

  /// `name` and the names of the inputs are for messages. Every generator that the step draws from has to
  /// outlive the last call.
  Captured(std::string name, std::vector<std::string> inputs, Device device, Step step);
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;

  /// The step's results for these inputs, in the order of their names; the next call may overwrite them. Throws
  /// Error naming the input whose shape, type or device is not that of the first call, and for a step in a step.
  Tensors operator()(const Tensors& inputs);
  /// The step as it is written, for inputs of any shape: a last batch that is smaller.
  Tensors unrecorded(const Tensors& inputs);

 private:
  struct Slot {
    Shape shape;
    Dtype dtype;
  };

  void check(const Tensors& inputs) const;
  void check_shapes(const Tensors& inputs);
  void copy_in(const Tensors& inputs);
  Tensors run(const Tensors& inputs);
  void keep(const Tensors& results);

  std::string name_;
  std::vector<std::string> input_names_;
  Device device_;
  Step step_;
  std::vector<Slot> slots_;               // of the first call
  std::vector<StepState*> states_;        // generators that the step draws from
  std::unique_ptr<Recording> recording_;  // null: nothing is recorded on this device
  Tensors inputs_, outputs_;              // that the recording reads and writes: not of the steps' memory
  int runs_ = 0;
};

/// Told the name of each step of a sequence when it is done: what a benchmark takes times by.
using Lap = std::function<void(const std::string& step)>;

/// A step whose inputs and results are counted by its type, so that they can be named where it is called:
///   const auto [end, length] = chain({start, x});
template <std::size_t kInputs, std::size_t kResults>
class CapturedStep {
 public:
  using Inputs = std::array<Tensor, kInputs>;
  using Results = std::array<Tensor, kResults>;
  using Body = std::function<Results(const Inputs&)>;

  CapturedStep(const std::string& name, const std::array<const char*, kInputs>& inputs, Device device,
               Body body)
      : name_(name),
        step_(name, {inputs.begin(), inputs.end()}, device, [body = std::move(body)](const Tensors& in) {
          Inputs counted;
          std::copy(in.begin(), in.end(), counted.begin());
          const Results results = body(counted);
          return Tensors(results.begin(), results.end());
        }) {}

  /// As Captured has it; then tells `after`.
  Results operator()(const Inputs& inputs, const Lap& after = {}) {
    const Results results = counted(step_({inputs.begin(), inputs.end()}));
    if (after) after(name_);
    return results;
  }
  Results unrecorded(const Inputs& inputs) {
    return counted(step_.unrecorded({inputs.begin(), inputs.end()}));
  }

 private:
  static Results counted(const Tensors& results) {
    Results counted;
    std::copy(results.begin(), results.end(), counted.begin());
    return counted;
  }

  std::string name_;
  Captured step_;
};

}  // namespace damc
