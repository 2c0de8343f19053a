#include "tensor/processes/processes.h"

#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "tensor/processes/launch.h"
#include "tensor/processes/mpi.h"

namespace damc {

std::unique_ptr<Communicator> join_processes(const OnLoss& on_loss) {
  const Launch launch = launched();
  if (launch.part.count == 1) return std::make_unique<Alone>();
  // srun tells MPI of the processes by PMIx, or not at all.
  if (launch.by == "mpirun" || (launch.by == "srun" && std::getenv("PMIX_RANK"))) {
    if (auto joined = join_by_mpi(launch.part)) return joined;
  }
  return join_by_sockets(meeting_of(launch), on_loss);
}

Part part_on_host(const Communicator& all) {
  char host[HOST_NAME_MAX + 1] = "";
  ::gethostname(host, sizeof host);
  const std::vector<std::string> hosts = all.gather(std::string(host));
  Part part{0, 0};
  for (std::size_t p = 0; p < hosts.size(); ++p) {
    if (static_cast<std::int64_t>(p) == all.part().index) part.index = part.count;
    if (hosts[p] == host) ++part.count;
  }
  return part;
}

}  // namespace damc
