#include "tensor/processes/mpi.h"

#include <mpi.h>

#include <algorithm>
#include <exception>

#include "tensor/processes/host_communicator.h"

namespace damc {
namespace {

Part world() {
  int level = 0, index = 0, count = 1;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level);
  MPI_Comm_rank(MPI_COMM_WORLD, &index);
  MPI_Comm_size(MPI_COMM_WORLD, &count);
  return {index, count};
}

/// Failures of MPI itself end all processes, with its message.
class MpiCommunicator final : public HostCommunicator {
 public:
  MpiCommunicator() : HostCommunicator(world()) {}
  /// Waits for the others to end as well. Where an error ends this process alone, it takes no leave: that tells the
  /// launcher to end the others.
  ~MpiCommunicator() override {
    if (std::uncaught_exceptions() == 0) MPI_Finalize();
  }

 protected:
  void exchange(const Sent& to, const Received& from) const override {
    std::vector<MPI_Request> requests;
    for (int p = 0; p < part().count; ++p) {
      if (p == part().index) continue;
      const auto i = static_cast<std::size_t>(p);
      in_messages(from[i], [&](std::byte* data, int bytes) {
        MPI_Irecv(data, bytes, MPI_BYTE, p, 0, MPI_COMM_WORLD, &requests.emplace_back());
      });
      in_messages(to[i], [&](const std::byte* data, int bytes) {
        MPI_Isend(data, bytes, MPI_BYTE, p, 0, MPI_COMM_WORLD, &requests.emplace_back());
      });
    }
    MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
  }

 private:
  /// MPI counts bytes in an int.
  template <class Bytes, class F>
  static void in_messages(Bytes bytes, const F& send) {
    constexpr std::size_t kMost = 1 << 30;
    for (; !bytes.empty(); bytes = bytes.subspan(std::min(kMost, bytes.size())))
      send(bytes.data(), static_cast<int>(std::min(kMost, bytes.size())));
  }
};

}  // namespace

std::unique_ptr<Communicator> join_by_mpi(Part part) {
  auto joined = std::make_unique<MpiCommunicator>();
  if (joined->part().count != part.count) return nullptr;
  return joined;
}

}  // namespace damc
