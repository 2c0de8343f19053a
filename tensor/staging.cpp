#include "tensor/staging.h"

#include <vector>

namespace damc {
namespace {

class SynchronousStaging final : public Staging {
 public:
  SynchronousStaging(Backend& backend, std::size_t bytes) : backend_(backend), memory_(bytes) {}
  void* host() override { return memory_.data(); }
  void send(void* to) override {
    backend_.copy_bytes(to, memory_.data(), memory_.size(), CopyKind::host_to_device);
  }
  void arrive() override {}

 private:
  Backend& backend_;
  std::vector<std::byte> memory_;
};

}  // namespace

std::unique_ptr<Staging> make_staging(Device device, std::size_t bytes) {
  Backend& on = backend(device);
  if (auto own = on.make_staging(bytes)) return own;
  return std::make_unique<SynchronousStaging>(on, bytes);
}

}  // namespace damc
