#include "tensor/step.h"

#include <algorithm>

#include "tensor/error.h"

namespace damc {
namespace {

thread_local RunningStep* running = nullptr;

}  // namespace

RunningStep::RunningStep(const std::string& name, std::vector<StepState*>& states, bool closed)
    : name_(name), states_(states), closed_(closed) {
  running = this;
}

RunningStep::~RunningStep() { running = nullptr; }

void RunningStep::note(StepState& state) {
  if (std::ranges::find(states_, &state) != states_.end()) return;
  // One that the warm-ups did not know may not start at a settled position.
  ENSURE(!closed_, "step '{}' draws from a generator that it did not use before", name_);
  states_.push_back(&state);
}

const RunningStep* running_step() { return running; }

void forbid_in_step(std::string_view what) {
  ENSURE(!running, "step '{}': {} within a step, which would not be repeated when it is replayed",
         running->name(), what);
}

void note_in_step(StepState& state) {
  if (running) running->note(state);
}

}  // namespace damc
