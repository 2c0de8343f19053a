/// A GPU for machines without one: the CUDA runtime, cuBLAS and cuDNN as their documentation describes them, computed by
/// plain loops on the host, and a judge of every call. A shared library whose symbols take the place of the real ones,
/// linked before them or preloaded. Of the real libraries it uses what works without a GPU: descriptors and their checks.
///
/// What the backend's kernels are made of runs on the host too, in programs whose cuda_backend.cu was compiled for it
/// (launch.h). In others a kernel does nothing: a GPU that computes wrongly.
///
/// Device memory cannot be touched but by what the device does: host code that reads or writes it dies. New blocks, and
/// what lies between blocks, have all bits set: every float is NaN. A rule that a call breaks is printed, and the last
/// line counts them:
/// - streams, events, handles and blocks are used while their device is the thread's
/// - memory is returned once, by the call that belongs to it, and nothing is written beyond a block; operands of library
///   calls are live, and those of a recorded call still are at every replay
/// - while a stream records, the thread makes no call that the runtime refuses then, and launches go to that stream, or to
///   one that has waited for it, which it then has to wait for
/// - launches keep to the limits of a grid, barriers are reached by all threads of a block or none; products are
///   well-formed; convolutions get aligned operands
///
/// There are two devices, and processes that NCCL joins, each of which has one (collectives.cpp). The environment changes what they are:
///   STAND_IN_MIB=N       each has N MiB of memory, else 80 GiB
///   STAND_IN_PROCESSORS=N it has N multiprocessors, else 132
///   STAND_IN_REFUSES=N   every Nth plan of cuDNN does not run
///   STAND_IN_EAGER=1     streams but a device's first do at once what they need not wait for; else all wait as long as
///                        they may
///   STAND_IN_BROKEN=N    NCCL has met with an error when it is asked the Nth time, counted from 0
///   STAND_IN_NO_NCCL=1   it joins no processes
///   STAND_IN_IDLE=1      nothing is done at all; what comes back has all bits set
///   STAND_IN_FINITE=1    or is -1.5 in f32
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace stand_in {

inline constexpr int kDevices = 2;

using Work = std::function<void()>;

/// Work in the order in which it is done, none of it before the work that it awaits on another stream.
struct Stream {
  struct Item {
    Work work;
    std::shared_ptr<Stream> awaited;
    std::uint64_t position;  // on that stream
  };
  int device;
  bool first;  // of its device
  std::deque<Item> items;
  std::uint64_t queued = 0, done = 0;  // how many ever were
};

/// A position on a stream; on none before it was recorded.
struct Event {
  std::shared_ptr<Stream> stream;
  std::uint64_t position = 0;
  bool in_graph = false;  // that was being recorded
};

struct Graph {
  std::vector<Work> work;
  std::vector<std::pair<const void*, std::size_t>> operands;  // of library calls, with bytes
  bool meets_others = false;                                  // other processes
};

/// What a stream does that has come into a recording by waiting for the stream that records.
struct Branch {
  std::vector<Work> work;
  std::size_t joined = 0;            // of it is a part of the graph
  std::vector<std::size_t> begun{};  // how much of the graph there was when each was queued
};

enum class Source { pool, malloc };

/// The state of the devices and of the only thread that uses them.
class Gpu {
 public:
  Gpu();
  ~Gpu();

  // The judge.
  void problem(const char* call, const char* what);
  /// A call that is refused while this thread records, unless it says that it stands outside.
  void outside(const char* call);
  /// Something to point at, of the current device or another.
  template <class Handle>
  Handle make_handle(int of = -1) {
    return static_cast<Handle>(note_handle(new char, of));
  }
  int home(const void* handle) const { return homes_.at(handle); }
  /// What `handle` is was made on the thread's device.
  void at_home(const char* call, const void* handle);
  /// A call that has no place on a stream that records.
  void on_stream(const char* call, cudaStream_t stream);
  /// An operand of a library call or copy: `bytes` from here on are in one block of the thread's device.
  void operand(const char* call, const void* address, std::size_t bytes);

  // Memory (memory.cpp).
  cudaError_t allocate(const char* call, Source source, void** block, std::size_t bytes, cudaStream_t stream);
  cudaError_t release(const char* call, Source source, void* block, cudaStream_t stream);
  std::size_t& held(Source source, int of) { return bytes_[of][static_cast<int>(source)]; }
  /// For a request: the pool keeps what it was given back until it is trimmed.
  std::size_t available(Source source);
  std::size_t total() const;

  // Streams (streams.cpp).
  cudaStream_t make_stream();
  void destroy(cudaStream_t stream);
  cudaEvent_t make_event();
  void destroy(cudaEvent_t event);
  void record(cudaEvent_t event, cudaStream_t stream);
  void wait(cudaStream_t stream, cudaEvent_t event);
  void wait(cudaEvent_t event);
  /// Does all that a stream has to do; of a device's streams.
  void finish(cudaStream_t stream);
  void finish(int of);
  /// Queues work, or adds it to the graph of a stream that records: of one beside it, as late as may be.
  void enqueue(const char* call, cudaStream_t stream, Work work);
  void begin_graph(cudaStream_t stream);
  /// Ends the recording of a stream. Null where there was none.
  std::unique_ptr<Graph> end_graph(cudaStream_t stream);
  /// What was queued last waits for other processes: all that comes before it is done now, for they may wait as well. A
  /// graph is marked.
  void meet_others(cudaStream_t stream);
  bool recording() const { return recorded_ != nullptr; }
  /// Whether what comes to it becomes part of a graph.
  bool records(cudaStream_t stream) const;

  int device = 0;                                                     // the thread's
  std::size_t reserved[kDevices] = {}, most_reserved[kDevices] = {};  // by the pools
  int problems = 0, kernels = 0, products = 0, tf32_products = 0, convolutions = 0, refused = 0,
      collectives = 0, beside = 0, graphs = 0, replays = 0;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  const bool idle;
  const unsigned char nothing;  // every byte of memory that was never written

 private:
  /// While one lives, a device's memory is open.
  class Access {
   public:
    Access(Gpu& owner, int of);
    ~Access();
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;

   private:
    void protect(int rights) const;
    Gpu& owner_;
    int device_;
  };
  struct Block {
    std::size_t bytes, size;  // as asked for, and whole units
    Source source;
    int device;
  };

  void* note_handle(void* made, int of);
  const std::pair<const char* const, Block>* block_of(const void* address) const;
  char* take_addresses(std::size_t bytes, cudaStream_t stream);
  char* addresses(int of) const;
  void blank(char* first, const Block& block) const;
  void check_end(const char* call, const char* first, const Block& block);
  void advance(Stream& stream, std::uint64_t position);
  void advance_alone(Stream& stream);
  void do_next(Stream& stream);
  void join(Branch& branch, std::size_t position);

  std::map<const void*, int> homes_;  // devices of handles
  char* memory_ = nullptr;            // of all devices, one after the other
  std::size_t used_[kDevices] = {};   // addresses
  std::size_t bytes_[kDevices][2] = {};
  std::map<const char*, Block> live_;
  std::map<std::pair<cudaStream_t, std::size_t>, std::vector<char*>>
      free_;                 // blocks by who may take them again
  int open_[kDevices] = {};  // accesses
  std::map<cudaStream_t, std::shared_ptr<Stream>> streams_;
  std::map<cudaEvent_t, Event> events_;
  Stream* recorded_ = nullptr;
  std::map<Stream*, Branch> branches_;  // of what is recorded
  std::unique_ptr<Graph> graph_;
};

extern Gpu gpu;

/// The number in an environment variable, or one in its place.
long long setting(const char* name, long long otherwise);

}  // namespace stand_in
