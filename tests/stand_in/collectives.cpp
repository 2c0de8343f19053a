/// NCCL between processes that have a stand-in GPU each: by way of a file that all of them map. A stream that sends
/// something is worked off at once, so that no process waits for one whose host waits for it.
#include <fcntl.h>
#include <nccl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tests/stand_in/gpu.h"

using stand_in::gpu;

namespace stand_in {
namespace {

constexpr int kMostProcesses = 8;
constexpr std::size_t kPiece = std::size_t{1} << 20;  // bytes that a process shows at a time

enum class Kind : int { sum, gather };

/// What a process sends, which all have to agree in.
struct Sent {
  Kind kind;
  ncclDataType_t type;
  std::size_t count;
  bool operator==(const Sent&) const = default;
};

/// A new one is zeros.
struct Table {
  std::atomic<std::uint64_t> arrivals;
  Sent sent[kMostProcesses];
  alignas(64) char data[kMostProcesses][kPiece];
};

struct Group {
  Table* table;
  int index, count;
  cudaStream_t stream = nullptr;

  /// Returns when all have called it as often.
  void meet() const {
    const auto n = static_cast<std::uint64_t>(count);
    const std::uint64_t last = (table->arrivals++ / n + 1) * n;
    for (int waits = 0; table->arrivals < last; ++waits) {
      if (waits < 1000) {
        std::this_thread::yield();
      } else {
        ::usleep(200);
      }
      if (waits > 600'000)
        gpu.problem("NCCL", "a process that the others wait for does not come"), std::abort();
    }
  }
};

struct Call {
  Sent sent;
  const char* from;
  char* to;
};

std::size_t bytes_of(ncclDataType_t type) { return type == ncclFloat32 ? 4 : type == ncclBfloat16 ? 2 : 8; }

template <class T>
void add_up(const Group& group, char* to, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += sizeof(T)) {
    T sum{};
    for (int p = 0; p < group.count; ++p) {
      T value;
      std::memcpy(&value, group.table->data[p] + at, sizeof value);
      sum = p == 0 ? value : sum + value;
    }
    std::memcpy(to + at, &sum, sizeof sum);
  }
}

void run(const Group& group, const Call& call) {
  Table& table = *group.table;
  table.sent[group.index] = call.sent;
  group.meet();
  if (!(table.sent[0] == call.sent)) gpu.problem("NCCL", "processes that do not send the same");
  const std::size_t bytes = call.sent.count * bytes_of(call.sent.type);
  for (std::size_t at = 0; at < bytes; at += kPiece) {
    const std::size_t size = std::min(kPiece, bytes - at);
    std::memcpy(table.data[group.index], call.from + at, size);
    group.meet();
    if (call.sent.kind == Kind::gather) {
      for (int p = 0; p < group.count; ++p)
        std::memcpy(call.to + static_cast<std::size_t>(p) * bytes + at, table.data[p], size);
    } else if (call.sent.type == ncclFloat32) {
      add_up<float>(group, call.to + at, size);
    } else {
      add_up<double>(group, call.to + at, size);
    }
    group.meet();
  }
}

std::map<ncclComm_t, std::shared_ptr<Group>> groups;
int open_groups = 0;
std::vector<Call> calls;  // of the open group
std::shared_ptr<Group> calling;

/// Queues what a group holds.
void queue_calls() {
  if (calls.empty()) return;
  const cudaStream_t stream = calling->stream;
  gpu.collectives += static_cast<int>(calls.size());
  gpu.enqueue("NCCL", stream, [group = calling, all = std::move(calls)] {
    for (const Call& call : all) run(*group, call);
  });
  calls.clear();
  calling.reset();
  gpu.meet_others(stream);
}

ncclResult_t note(const char* name, ncclComm_t comm, const Call& call, std::size_t received,
                  cudaStream_t stream) {
  gpu.at_home(name, comm);
  const std::size_t size = bytes_of(call.sent.type);
  gpu.operand(name, call.from, call.sent.count * size);
  gpu.operand(name, call.to, received * size);
  if (call.sent.kind == Kind::sum && call.sent.type != ncclFloat32 && call.sent.type != ncclFloat64)
    gpu.problem(name, "a sum that the stand-in does not know");
  if (calling && (calling != groups.at(comm) || calling->stream != stream))
    gpu.problem(name, "a group on several streams");
  calling = groups.at(comm);
  calling->stream = stream;
  calls.push_back(call);
  if (open_groups == 0) queue_calls();
  return ncclSuccess;
}

Table* mapped(int file) {
  void* at = mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (at == MAP_FAILED) std::perror("stand-in GPU: NCCL"), std::abort();
  return static_cast<Table*>(at);
}

}  // namespace
}  // namespace stand_in

using stand_in::Call;
using stand_in::Group;
using stand_in::Kind;

extern "C" {

ncclResult_t ncclGetVersion(int* version) { return *version = NCCL_VERSION_CODE, ncclSuccess; }
const char* ncclGetErrorString(ncclResult_t) { return "an error of the stand-in"; }
const char* ncclGetLastError(ncclComm_t) { return ""; }
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::strcpy(id->internal, "/dev/shm/stand-in-nccl-XXXXXX");
  const int file = ::mkstemp(id->internal);
  if (file < 0 || ::ftruncate(file, sizeof(stand_in::Table)) != 0) return ncclSystemError;
  return ::close(file), ncclSuccess;
}
ncclResult_t ncclCommInitRank(ncclComm_t* comm, int count, ncclUniqueId id, int index) {
  if (stand_in::setting("STAND_IN_NO_NCCL", 0)) return ncclInvalidUsage;
  const int file = ::open(id.internal, O_RDWR);
  if (file < 0 || count > stand_in::kMostProcesses) return ncclInvalidArgument;
  const auto group = std::make_shared<Group>(Group{stand_in::mapped(file), index, count});
  group->meet();
  if (index == 0) ::unlink(id.internal);
  *comm = gpu.make_handle<ncclComm_t>();
  return stand_in::groups[*comm] = group, ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  gpu.at_home(__func__, comm);
  if (stand_in::groups.at(comm).use_count() > 1)
    gpu.problem(__func__, "a recorded step that uses it is still there");
  return stand_in::groups.erase(comm), ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) { return stand_in::groups.erase(comm), ncclSuccess; }
/// STAND_IN_BROKEN=N: from the Nth question on the connection is.
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  gpu.at_home(__func__, comm);
  static long long left = stand_in::setting("STAND_IN_BROKEN", -1);
  *error = left >= 0 && left-- == 0 ? ncclRemoteError : ncclSuccess;
  return ncclSuccess;
}
ncclResult_t ncclGroupStart() { return ++stand_in::open_groups, ncclSuccess; }
ncclResult_t ncclGroupEnd() {
  if (stand_in::open_groups == 0) gpu.problem(__func__, "no group is open");
  if (--stand_in::open_groups == 0) stand_in::queue_calls();
  return ncclSuccess;
}
ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
  if (op != ncclSum) gpu.problem(__func__, "what is not a sum");
  return stand_in::note(__func__, comm,
                        {{Kind::sum, type, count}, static_cast<const char*>(from), static_cast<char*>(to)},
                        count, stream);
}
ncclResult_t ncclAllGather(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  const auto all = count * static_cast<std::size_t>(stand_in::groups.at(comm)->count);
  return stand_in::note(__func__, comm,
                        {{Kind::gather, type, count}, static_cast<const char*>(from), static_cast<char*>(to)},
                        all, stream);
}

}  // extern "C"
