#include <unistd.h>

#include <charconv>
#include <climits>
#include <cstdlib>
#include <string_view>

#include "tensor/mpi/processes.h"

namespace damc {
namespace {

/// Where a launcher writes a process's number, and how many there are.
struct Launcher {
  const char *name, *index, *count;
};
constexpr Launcher kLaunchers[] = {{"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},  // Open MPI
                                   {"mpirun", "PMI_RANK", "PMI_SIZE"},  // MPICH, Intel
                                   {"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},
                                   {"torchrun", "RANK", "WORLD_SIZE"}};

/// A variable's number; -1: it has none.
std::int64_t number(const char* name) {
  const char* text = std::getenv(name);
  std::int64_t value = -1;
  if (text) std::from_chars(text, text + std::string_view(text).size(), value);
  return value;
}

}  // namespace

Launch launched() {
  for (const auto& [name, index, count] : kLaunchers) {
    const Part part{number(index), number(count)};
    if (0 <= part.index && part.index < part.count) return {part, name};
  }
  return {};
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
