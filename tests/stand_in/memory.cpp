/// The judge and the devices' memory: address space that is opened only while a device works.
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/stand_in/gpu.h"

namespace stand_in {
namespace {

constexpr std::size_t kAddresses = std::size_t{1} << 41;  // of one device
constexpr std::size_t kUnit = 512;                        // sizes and addresses of blocks are its multiples
constexpr std::size_t kGap = kUnit;                       // behind each block
constexpr std::size_t kBlanked = std::size_t{1} << 22;    // of a large block both ends are enough

}  // namespace

Gpu gpu;

long long setting(const char* name, long long otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoll(text) : otherwise;
}

// As an integer a blank is negative, as what says that no number was not finite is.
Gpu::Gpu() : idle(setting("STAND_IN_IDLE", 0)), nothing(setting("STAND_IN_FINITE", 0) ? 0xBF : 0xFF) {
  void* mapped =
      mmap(nullptr, kDevices * kAddresses, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) std::perror("stand-in GPU: mmap"), std::abort();
  memory_ = static_cast<char*>(mapped);
  madvise(memory_, kDevices * kAddresses, MADV_HUGEPAGE);  // to open and close large pages takes less time
}

Gpu::~Gpu() {
  std::fprintf(
      stderr,
      "stand-in GPU: %d problems; %d kernels, %d products, %d in tf32, %d convolutions, %d refused, %d "
      "collectives, %d recorded beside other work, %d graphs, %d replays\n",
      problems, kernels, products, tf32_products, convolutions, refused, collectives, beside, graphs,
      replays);
}

void Gpu::problem(const char* call, const char* what) {
  ++problems;
  std::fprintf(stderr, "stand-in GPU: problem: %s: %s\n", call, what);
}

void Gpu::outside(const char* call) {
  if (recording() && mode != cudaStreamCaptureModeRelaxed) problem(call, "refused while a stream records");
}

void* Gpu::note_handle(void* made, int of) {
  homes_[made] = of < 0 ? device : of;
  return made;
}

void Gpu::at_home(const char* call, const void* handle) {
  const auto home = homes_.find(handle);
  if (home == homes_.end() || home->second != device) problem(call, "with what is another device's");
}

void Gpu::on_stream(const char* call, cudaStream_t stream) {
  at_home(call, stream);
  if (records(stream)) problem(call, "not for a stream that records");
}

const std::pair<const char* const, Gpu::Block>* Gpu::block_of(const void* address) const {
  const auto after = live_.upper_bound(static_cast<const char*>(address));
  if (after == live_.begin()) return nullptr;
  const auto& found = *std::prev(after);
  return address < found.first + found.second.bytes ? &found : nullptr;
}

void Gpu::operand(const char* call, const void* address, std::size_t bytes) {
  const auto* found = block_of(address);
  if (!found || found->second.device != device) {
    problem(call, "an operand that is not in the device's memory, or no longer");
  } else if (static_cast<const char*>(address) + bytes > found->first + found->second.bytes) {
    problem(call, "an operand that reaches beyond its block");
  }
  if (graph_) graph_->operands.emplace_back(address, bytes);
}

std::size_t Gpu::total() const {
  static const long long mebibytes = setting("STAND_IN_MIB", 80 * 1024);
  return static_cast<std::size_t>(mebibytes) << 20;
}

std::size_t Gpu::available(Source source) {
  const std::size_t free = total() - reserved[device] - held(Source::malloc, device);
  return source == Source::malloc ? free : free + reserved[device] - held(Source::pool, device);
}

char* Gpu::addresses(int of) const { return memory_ + static_cast<std::size_t>(of) * kAddresses; }

/// A block that the same stream returned may be taken again at once: what it did there is done before.
char* Gpu::take_addresses(std::size_t size, cudaStream_t stream) {
  auto& again = free_[{stream, size}];
  if (!again.empty()) {
    char* block = again.back();
    again.pop_back();
    return block;
  }
  char* block = addresses(device) + used_[device];
  used_[device] += size + kGap;
  if (used_[device] > kAddresses) problem("allocation", "out of addresses");
  return block;
}

cudaError_t Gpu::allocate(const char* call, Source source, void** made, std::size_t bytes,
                          cudaStream_t stream) {
  const std::size_t size = (bytes + kUnit - 1) / kUnit * kUnit;
  if (size > available(source)) return cudaErrorMemoryAllocation;
  char* first = take_addresses(size, stream);
  *made = first;
  const Block block{bytes, size, source, device};
  live_[first] = block;
  held(source, device) += size;
  reserved[device] = std::max(reserved[device], held(Source::pool, device));
  most_reserved[device] = std::max(most_reserved[device], reserved[device]);
  if (source == Source::pool) {
    enqueue(call, stream, [=, this] { blank(first, block); });
  } else if (!idle) {
    const Access access(*this, device);
    blank(first, block);
  }
  return cudaSuccess;
}

cudaError_t Gpu::release(const char* call, Source source, void* returned, cudaStream_t stream) {
  const auto found = live_.find(static_cast<const char*>(returned));
  if (found == live_.end() || found->second.source != source ||
      (source == Source::pool && found->second.device != device)) {
    problem(call, "no such block");
    return cudaErrorInvalidValue;
  }
  char* first = static_cast<char*>(returned);
  const Block block = found->second;
  if (source == Source::pool) {
    enqueue(call, stream, [=, this] { check_end(call, first, block); });
  } else if (!idle) {
    finish(block.device);
    const Access access(*this, block.device);
    check_end(call, first, block);
  }
  free_[{stream, block.size}].push_back(first);
  held(source, block.device) -= block.size;
  live_.erase(found);
  return cudaSuccess;
}

void Gpu::blank(char* first, const Block& block) const {
  const std::size_t bytes = block.size + kGap, part = std::min(bytes, kBlanked);
  std::memset(first, nothing, part);
  std::memset(first + bytes - part, nothing, part);
}

void Gpu::check_end(const char* call, const char* first, const Block& block) {
  if (std::any_of(first + block.bytes, first + block.size + kGap,
                  [this](char c) { return static_cast<unsigned char>(c) != nothing; }))
    problem(call, "the memory behind this block was written to");
}

Gpu::Access::Access(Gpu& owner, int of) : owner_(owner), device_(of) {
  if (owner_.open_[device_]++ == 0) protect(PROT_READ | PROT_WRITE);
}

Gpu::Access::~Access() {
  if (--owner_.open_[device_] == 0) protect(PROT_NONE);
}

/// A guard that cannot be set would let tests pass that prove nothing.
void Gpu::Access::protect(int rights) const {
  constexpr std::size_t page = std::size_t{1} << 21;  // the largest
  const std::size_t bytes = (owner_.used_[device_] + page - 1) / page * page;
  if (mprotect(owner_.addresses(device_), bytes, rights) == 0) return;
  std::perror("stand-in GPU: mprotect");
  std::abort();
}

}  // namespace stand_in
