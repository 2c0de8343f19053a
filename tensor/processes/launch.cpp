#include "tensor/processes/launch.h"

#include <charconv>
#include <climits>
#include <cstdlib>

#include "tensor/error.h"

namespace damc {
namespace {

/// Where a launcher writes a process's number and how many there are, and what it alone sets.
struct Launcher {
  const char *name, *index, *count, *sign;
};
constexpr Launcher kLaunchers[] = {
    {"damc", "DAMC_PROCESS", "DAMC_PROCESSES", "DAMC_PROCESS"},
    {"torchrun", "RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID"},
    {"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},  // Open MPI
    {"mpirun", "PMI_RANK", "PMI_SIZE", "PMI_RANK"},                                      // MPICH, Intel
    {"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"},
    {"torchrun", "RANK", "WORLD_SIZE", "RANK"}};  // others that do as it does

/// A variable's value; empty: it has none.
std::string variable(const char* name) {
  const char* text = std::getenv(name);
  return text ? text : "";
}

/// A variable's number; -1: it has none.
std::int64_t number(const char* name) {
  const std::string text = variable(name);
  std::int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

/// The port that a variable holds; 0: it is not set.
std::int64_t port_in(const char* name) {
  if (variable(name).empty()) return 0;
  const std::int64_t port = number(name);
  if (port < 1 || port > USHRT_MAX)
    user_error(fmt::format("{} = '{}' is no port", name, variable(name)), "1 to 65535");
  return port;
}

std::int64_t port_of(const Launch& launch) {
  constexpr std::int64_t kFirst = 20'000, kCount = 10'000;  // that systems give to nobody by themselves
  if (const std::int64_t port = port_in("DAMC_PORT")) return port;
  if (const std::int64_t port = port_in("MASTER_PORT")) {
    if (variable("TORCHELASTIC_USE_AGENT_STORE") != "True") return port;
    return port < USHRT_MAX ? port + 1 : port - 1;
  }
  if (launch.by == "srun" && number("SLURM_JOB_ID") >= 0)
    return kFirst + (number("SLURM_JOB_ID") + std::max<std::int64_t>(0, number("SLURM_STEP_ID"))) % kCount;
  return 0;
}

std::string host_of(const Launch& launch) {
  if (launch.by == "damc") return "127.0.0.1";
  if (!variable("MASTER_ADDR").empty()) return variable("MASTER_ADDR");
  return launch.by == "srun" ? first_host(variable("SLURM_STEP_NODELIST")) : "";
}

std::string job_of(const Launch& launch) {
  if (!variable("DAMC_JOB").empty()) return variable("DAMC_JOB");
  if (launch.by == "torchrun") return variable("TORCHELASTIC_RUN_ID");
  if (launch.by == "srun") return variable("SLURM_JOB_ID") + "." + variable("SLURM_STEP_ID");
  return "";
}

}  // namespace

Launch launched() {
  for (const auto& [name, index, count, sign] : kLaunchers) {
    const Part part{number(index), number(count)};
    if (std::getenv(sign) && 0 <= part.index && part.index < part.count) return {part, name};
  }
  return {};
}

Meeting meeting_of(const Launch& launch) {
  Meeting meeting{launch.part, host_of(launch), static_cast<std::uint16_t>(port_of(launch)), job_of(launch)};
  if (meeting.host.empty() || meeting.port == 0) {
    user_error(
        fmt::format("{} processes were started by {}, but {}: each would work by itself", launch.part.count,
                    launch.by,
                    launch.by == "mpirun" ? "do not know each other by MPI" : "nothing says where they meet"),
        "MASTER_ADDR and MASTER_PORT, the same in all, name the first one's machine and a free port of it; "
        "mpirun needs neither if it is of the MPI that damc was built with");
  }
  if (launch.by == "damc" && launch.part.index == 0)
    meeting.listener = static_cast<int>(number("DAMC_LISTENER"));
  return meeting;
}

void set_launched_by_damc(Part part, int listener, std::uint16_t port, const std::string& job) {
  const std::pair<const char*, std::string> values[] = {{"DAMC_PROCESS", std::to_string(part.index)},
                                                        {"DAMC_PROCESSES", std::to_string(part.count)},
                                                        {"DAMC_PORT", std::to_string(port)},
                                                        {"DAMC_JOB", job},
                                                        {"DAMC_LISTENER", std::to_string(listener)}};
  for (const auto& [name, value] : values) ::setenv(name, value.c_str(), 1);
}

std::string first_host(std::string_view nodes) {
  std::string host;
  for (std::size_t i = 0; i < nodes.size() && nodes[i] != ','; ++i) {
    if (nodes[i] != '[') {
      host += nodes[i];
      continue;
    }
    const std::size_t end = nodes.find(']', i);
    if (end == nodes.npos) return "";
    host += nodes.substr(i + 1, nodes.find_first_of(",-]", i) - i - 1);
    i = end;
  }
  return host;
}

}  // namespace damc
