#include <charconv>
#include <cstdlib>
#include <string_view>

#include "tensor/mpi/processes.h"

namespace damc {
namespace {

/// Where a launcher writes a process's number, and how many there are.
struct Names {
  const char *index, *count;
};
constexpr Names kLaunchers[] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},  // Open MPI's mpirun
                                {"PMI_RANK", "PMI_SIZE"},                          // MPICH's, Intel's
                                {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"}};         // srun

/// A variable's number; -1: it has none.
std::int64_t number(const char* name) {
  const char* text = std::getenv(name);
  std::int64_t value = -1;
  if (text) std::from_chars(text, text + std::string_view(text).size(), value);
  return value;
}

}  // namespace

Part launched() {
  for (const Names& names : kLaunchers) {
    const Part part{number(names.index), number(names.count)};
    if (0 <= part.index && part.index < part.count) return part;
  }
  return {};
}

}  // namespace damc
