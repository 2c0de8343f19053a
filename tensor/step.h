/// What code has to know of the captured step (tensor/record.h) that it runs in: below all that such a step calls.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace damc {

/// Something on a device that a captured step moves on, as the position of a Generator.
class StepState {
 public:
  /// Writes what has changed on the host to the device, where a replay finds it.
  virtual void settle() = 0;

 protected:
  ~StepState() = default;
};

/// While it lives, a captured step runs on this thread.
class RunningStep {
 public:
  /// States that the step is told of (note_in_step) join `states`; with `closed`, all of them are there already.
  RunningStep(const std::string& name, std::vector<StepState*>& states, bool closed);
  ~RunningStep();
  RunningStep(const RunningStep&) = delete;
  RunningStep& operator=(const RunningStep&) = delete;

  void note(StepState& state);
  const std::string& name() const { return name_; }

 private:
  const std::string& name_;
  std::vector<StepState*>& states_;
  bool closed_;
};

/// The step that runs on this thread; null: none.
const RunningStep* running_step();
/// Throws Error when a step runs on this thread: `what` has no place in it.
void forbid_in_step(std::string_view what);
/// Tells the step that runs on this thread, if one does, that it uses `state`. Throws Error for a new one when it is too
/// late to know it.
void note_in_step(StepState& state);

}  // namespace damc
