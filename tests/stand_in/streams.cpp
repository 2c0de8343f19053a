/// Streams, events and graphs: what waits for what, done as late as it may be, or as early.
#include <algorithm>

#include "tests/stand_in/gpu.h"

namespace stand_in {

namespace {

/// What waits for nothing is done at once on these.
bool eager(const Stream& stream) {
  static const bool asked = setting("STAND_IN_EAGER", 0) != 0;
  return asked && !stream.first;
}

}  // namespace

cudaStream_t Gpu::make_stream() {
  const auto made = make_handle<cudaStream_t>();
  const bool first = std::none_of(streams_.begin(), streams_.end(),
                                  [this](const auto& other) { return other.second->device == device; });
  streams_[made] = std::make_shared<Stream>(Stream{device, first, {}});
  return made;
}

/// What it still has to do is done.
void Gpu::destroy(cudaStream_t stream) {
  at_home("cudaStreamDestroy", stream);
  finish(stream);
  streams_.erase(stream);
  homes_.erase(stream);
}

cudaEvent_t Gpu::make_event() {
  const auto made = make_handle<cudaEvent_t>();
  events_[made] = {};
  return made;
}

void Gpu::destroy(cudaEvent_t event) {
  events_.erase(event);
  homes_.erase(event);
}

void Gpu::record(cudaEvent_t event, cudaStream_t stream) {
  const auto& on = streams_.at(stream);
  const auto branch = branches_.find(on.get());
  events_.at(event) = {on, branch == branches_.end() ? on->queued : branch->second.work.size(),
                       records(stream)};
}

void Gpu::wait(cudaStream_t stream, cudaEvent_t event) {
  const auto& [awaited, position, in_graph] = events_.at(event);
  Stream& waiting = *streams_.at(stream);
  if (!awaited || awaited.get() == &waiting) return;
  if (in_graph ? !recording() : records(stream))
    return problem("cudaStreamWaitEvent", "an event on the other side of a recording");
  if (awaited.get() == recorded_) {
    branches_.try_emplace(&waiting);
    return;
  }
  if (const auto branch = branches_.find(awaited.get()); branch != branches_.end()) {
    if (&waiting != recorded_) problem("cudaStreamWaitEvent", "a branch of a recording that another awaits");
    return join(branch->second, position);
  }
  waiting.items.push_back({{}, awaited, position});
  ++waiting.queued;
}

void Gpu::wait(cudaEvent_t event) {
  const auto& [stream, position, in_graph] = events_.at(event);
  if (in_graph) problem("cudaEventSynchronize", "an event of a recording");
  if (stream) advance(*stream, position);
}

void Gpu::finish(cudaStream_t stream) {
  Stream& all = *streams_.at(stream);
  advance(all, all.queued);
}

void Gpu::finish(int of) {
  for (const auto& [_, stream] : streams_) {
    if (stream->device == of) advance(*stream, stream->queued);
  }
}

void Gpu::enqueue(const char* call, cudaStream_t stream, Work work) {
  at_home(call, stream);
  const auto found = streams_.find(stream);
  if (idle || found == streams_.end()) return;
  Stream& on = *found->second;
  if (&on == recorded_) {
    graph_->work.push_back(std::move(work));
    return;
  }
  if (const auto branch = branches_.find(&on); branch != branches_.end()) {
    branch->second.work.push_back(std::move(work));
    branch->second.begun.push_back(graph_->work.size());
    if (eager(on)) join(branch->second, branch->second.work.size());
    return;
  }
  on.items.push_back({std::move(work), nullptr, 0});
  ++on.queued;
  if (eager(on)) advance_alone(on);
}

/// The recording stream goes on after what a branch had by a position.
void Gpu::join(Branch& branch, std::size_t position) {
  const std::size_t reached = graph_->work.size();
  for (; branch.joined < position; ++branch.joined) {
    if (branch.begun[branch.joined] < reached) ++beside;
    graph_->work.push_back(std::move(branch.work[branch.joined]));
  }
}

bool Gpu::records(cudaStream_t stream) const {
  const auto found = streams_.find(stream);
  return recorded_ && found != streams_.end() &&
         (found->second.get() == recorded_ || branches_.contains(found->second.get()));
}

void Gpu::meet_others(cudaStream_t stream) {
  if (records(stream)) {
    graph_->meets_others = true;
  } else if (!idle) {
    finish(stream);
  }
}

void Gpu::begin_graph(cudaStream_t stream) {
  if (recording()) problem("cudaStreamBeginCapture", "two recordings at once");
  recorded_ = streams_.at(stream).get();
  graph_ = std::make_unique<Graph>();
}

std::unique_ptr<Graph> Gpu::end_graph(cudaStream_t stream) {
  if (recorded_ != streams_.at(stream).get()) problem("cudaStreamEndCapture", "the stream does not record");
  for (const auto& [_, branch] : branches_) {
    if (branch.joined < branch.work.size())
      problem("cudaStreamEndCapture", "the work of a branch that nobody awaits");
  }
  branches_.clear();
  recorded_ = nullptr;
  return std::move(graph_);
}

/// Up to a position, with what that awaits of other streams.
void Gpu::advance(Stream& stream, std::uint64_t position) {
  const Access access(*this, stream.device);
  while (stream.done < position) do_next(stream);
}

/// As far as it need not wait.
void Gpu::advance_alone(Stream& stream) {
  const Access access(*this, stream.device);
  while (!stream.items.empty()) {
    const auto& [_, awaited, position] = stream.items.front();
    if (awaited && awaited->done < position) return;
    do_next(stream);
  }
}

void Gpu::do_next(Stream& stream) {
  const Stream::Item item = std::move(stream.items.front());
  stream.items.pop_front();
  if (item.awaited) {
    advance(*item.awaited, item.position);
  } else {
    item.work();
  }
  ++stream.done;
}

}  // namespace stand_in
