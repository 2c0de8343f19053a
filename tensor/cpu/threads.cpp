#include "tensor/cpu/threads.h"

#include <cblas.h>
#include <omp.h>
#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <latch>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "tensor/error.h"

// OpenBLAS's own, exported for LAPACK: a block stays mapped when it is freed, and serves the next product.
extern "C" void* blas_memory_alloc(int unused);
extern "C" void blas_memory_free(void* block);

namespace damc {
namespace {

namespace fs = std::filesystem;

/// What a new thread's stack takes: as OMP_STACKSIZE says, in KiB or with a unit; else as the system has it.
std::size_t stack_bytes() {
  if (const char* const asked = std::getenv("OMP_STACKSIZE")) {
    char* end = nullptr;
    const std::size_t number = std::strtoull(asked, &end, 10);
    while (std::isspace(static_cast<unsigned char>(*end))) ++end;
    constexpr std::string_view units = "bkmg";
    const auto unit =
        *end ? units.find(static_cast<char>(std::tolower(static_cast<unsigned char>(*end)))) : 1;
    if (end != asked && unit != units.npos) return number << 10 * unit;
  }
  pthread_attr_t attributes;
  std::size_t bytes = 0;
  pthread_attr_init(&attributes);
  pthread_attr_getstacksize(&attributes, &bytes);
  pthread_attr_destroy(&attributes);
  return bytes;
}

/// Throws Error unless `count` more threads can live at once: OpenMP would end the program by itself.
void try_threads(int count) {
  std::latch all_started(1);
  std::vector<std::thread> threads;
  std::string failure;
  try {
    for (int i = 0; i < count; ++i) threads.emplace_back([&] { all_started.wait(); });
  } catch (const std::system_error& error) {
    failure = error.code().message();
  }
  all_started.count_down();
  for (std::thread& thread : threads) thread.join();
  ENSURE(failure.empty(), "cannot start {} threads: {}\nhint: OMP_NUM_THREADS sets their number", count + 1,
         failure);
}

/// Processors that one group's limit, "quota period" in microseconds, amounts to; 0 for none.
int processors_of(std::int64_t quota, std::int64_t period) {
  return quota > 0 && period > 0 ? static_cast<int>((quota + period - 1) / period) : 0;
}

/// By C's streams: this is called before C++'s are initialised.
std::string text_of(const fs::path& file) {
  std::string text;
  if (std::FILE* const in = std::fopen(file.c_str(), "re")) {
    std::array<char, 4096> part;
    for (std::size_t n; (n = std::fread(part.data(), 1, part.size(), in)) > 0;) text.append(part.data(), n);
    std::fclose(in);
  }
  return text;
}

int quota_of_group(const fs::path& group) {
  std::int64_t quota = 0, period = 0;
  if (std::sscanf(text_of(group / "cpu.max").c_str(), "%" SCNd64 " %" SCNd64, &quota, &period) == 2)
    return processors_of(quota, period);                                         // not of "max"
  std::sscanf(text_of(group / "cpu.cfs_quota_us").c_str(), "%" SCNd64, &quota);  // version 1
  std::sscanf(text_of(group / "cpu.cfs_period_us").c_str(), "%" SCNd64, &period);
  return processors_of(quota, period);
}

}  // namespace

bool can_map(int count, std::size_t bytes) {
  if (bytes == 0) return true;  // mmap refuses to map nothing
  void* last = nullptr;         // each block holds the address of the one before
  int mapped = 0;
  for (; mapped < count; ++mapped) {
    void* block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) break;
    *static_cast<void**>(block) = last;
    last = block;
  }
  while (last) {
    void* before = *static_cast<void**>(last);
    munmap(last, bytes);
    last = before;
  }
  return mapped == count;
}

int cpu_quota(const fs::path& root) {
  int least = 0;
  const std::string groups = text_of(root / "proc/self/cgroup");
  // "0::/a/b" of version 2, "4:cpu,cpuacct:/a/b" of version 1; in a container the path may not be there, but its top is.
  for (std::size_t start = 0, end; start < groups.size(); start = end + 1) {
    end = std::min(groups.find('\n', start), groups.size());
    const std::string line = groups.substr(start, end - start);
    const std::size_t controllers = line.find(':'), path = line.find(':', controllers + 1);
    if (controllers == line.npos || path == line.npos) continue;
    const std::string kind = line.substr(controllers + 1, path - controllers - 1);
    if (!kind.empty() && kind != "cpu" && kind != "cpu,cpuacct") continue;
    const fs::path top = root / "sys/fs/cgroup" / kind;
    fs::path below = fs::path(line.substr(path + 1)).relative_path();
    for (bool at_top = false; !at_top; below = below.parent_path()) {
      at_top = below.empty();
      const int quota = quota_of_group(top / below);
      if (quota > 0 && (least == 0 || quota < least)) least = quota;
    }
  }
  return least;
}

void start_threads() {
  int threads = omp_get_max_threads();
  if (!std::getenv("OMP_NUM_THREADS") && threads == omp_get_num_procs()) {
    const int quota = cpu_quota();
    if (quota > 0) threads = std::min(threads, quota);
  }
  // Below this the products' own variables do not fit.
  constexpr std::size_t least_stack = std::size_t{256} << 10;
  if (const std::size_t stack = stack_bytes(); stack < least_stack) {
    user_error(fmt::format("stacks of {} KiB are too small; {} are needed", stack >> 10, least_stack >> 10),
               "give more: ulimit -s 8192, or OMP_STACKSIZE=8M where that is set");
  }
  // OpenBLAS has a buffer for each of its threads; told to run on the calling one, it has all but one to give.
  const auto lacking = static_cast<std::size_t>(std::max(0, threads - (openblas_get_num_threads() - 1)));
  const std::size_t bytes = lacking * kBlasBuffer + static_cast<std::size_t>(threads - 1) * stack_bytes();
  ENSURE(can_map(1, bytes),
         "out of memory: {} threads need {} MiB more of address space\nhint: give more (ulimit -v), or fewer "
         "threads "
         "(OMP_NUM_THREADS)",
         threads, bytes >> 20);
  openblas_set_num_threads(1);
  omp_set_num_threads(threads);  // which OpenBLAS has changed as well
  std::vector<void*> buffers(static_cast<std::size_t>(threads));
  for (void*& buffer : buffers) buffer = blas_memory_alloc(0);  // at once, while there is what was tried for
  for (void* buffer : buffers) blas_memory_free(buffer);
  try_threads(threads - 1);
#pragma omp parallel
  {}
}

}  // namespace damc
