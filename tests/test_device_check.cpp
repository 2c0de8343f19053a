/// The self-test of a device (tools/device_check.h): right of devices that compute, and it names what computes wrongly.
#include <doctest/doctest.h>

#include <vector>

#include "tensor/error.h"
#include "tensor/watch/trace.h"
#include "tests/guarded_backend.h"
#include "tools/device_check.h"

using namespace damc;

namespace {

constexpr Device gpu = GuardedDevice::device;

std::vector<CheckedPart> parts(Device device) {
  std::vector<CheckedPart> found;
  bool all = true;
  const bool passed = check_device(device, [&](const CheckedPart& part) {
    found.push_back(part);
    all &= part.passed;
  });
  CHECK(passed == all);
  return found;
}

/// A device one of whose kernels changes its result by a thousandth.
class FaultyBackend final : public ForwardingBackend {
 public:
  FaultyBackend(Backend& inner, std::string kernel) : ForwardingBackend(inner), kernel_(std::move(kernel)) {}

 private:
  void intercept(const KernelCall& call) override {
    call(inner_);
    if (call.kernel != kernel_) return;
    const Tensor& out = call.writes[0];
    const Unary slightly_more{UnaryOp::affine, 1.001, 0.0};
    if (out.dtype() == Dtype::f32) inner_.unary(slightly_more, out, out);
  }

  std::string kernel_;
};

}  // namespace

TEST_CASE("the CPU, and a device of host memory that it cannot reach, pass") {
  for (const CheckedPart& part : parts(Device{})) CHECK_MESSAGE(part.passed, part.name, ": ", part.found);
  const GuardedDevice present;
  const std::vector<CheckedPart> found = parts(gpu);
  CHECK(found.size() == 7);
  for (const CheckedPart& part : found) CHECK_MESSAGE(part.passed, part.name, ": ", part.found);
}

TEST_CASE("a kernel that is off by a thousandth is found and named") {
  for (const char* kernel : {"conv2d_grad_x", "normal"}) {
    CAPTURE(std::string(kernel));
    const BackendOverride faulty(gpu, std::make_unique<FaultyBackend>(backend(Device{}), kernel));
    const std::vector<CheckedPart> found = parts(gpu);
    CHECK(!found[1].passed);
    CHECK(found[1].found.find(fmt::format("({})", kernel)) != std::string::npos);
  }
}

TEST_CASE("a device that throws has failed, in the words of its error") {
  const BackendOverride broken(
      gpu, std::make_unique<ObservedBackend>(
               backend(Device{}), [](const char* name, const Tensor&, const std::function<void()>& call) {
                 if (std::string(name) == "gemm") throw Error("the library has no such product\nmore");
                 call();
               }));
  const std::vector<CheckedPart> found = parts(gpu);
  CHECK(found[0].passed);
  CHECK(!found[1].passed);
  CHECK(found[1].found == "the library has no such product");
}
