#include "tools/device_check.h"

#include <unistd.h>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>

#include "damc/method.h"
#include "damc/run_folder.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/io/safetensors.h"
#include "tensor/ops.h"
#include "tensor/watch/trace.h"
#include "tools/cache_folder.h"
#include "tools/screen.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

/// The largest error that rounding explains, of one kernel's result (L2, relative) in a precision.
double allowed(const std::string& precision) {
  return precision == "fp32" ? 1e-4 : precision == "tf32" ? 1e-2 : 6e-2;
}

double norm(const Tensor& t) {  // of f64 on the CPU, contiguous
  double squares = 0.0;
  for (std::int64_t i = 0; i < t.numel(); ++i) squares += t.data<double>()[i] * t.data<double>()[i];
  return std::sqrt(squares);
}

/// Compares every kernel that it passes on with the CPU's on the same operands in f64.
class KernelComparison final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;

  std::int64_t calls() const { return calls_; }
  /// The largest error of each kernel.
  const std::map<std::string, double>& errors() const { return errors_; }

 private:
  void intercept(const KernelCall& call) override {
    if (comparing_) return call(inner_);  // a kernel of the comparison itself
    comparing_ = true;
    compare(call);
    comparing_ = false;
  }

  void compare(const KernelCall& call) {
    // Random numbers of other types are other numbers.
    const std::string name = call.kernel;
    const bool random = name == "normal" || name == "uniform" || name == "noisy_update";
    const auto operands = [&](const Operands& tensors) {
      Operands copies;
      for (const Tensor& t : tensors) {
        copies.push_back(!t.defined() ? Tensor() : random ? on_host(t) : exact(on_host(t)));
      }
      return copies;
    };
    const Operands reads = operands(call.reads), writes = operands(call.writes);
    call(inner_);
    call.run(backend(Device{}), reads, writes);
    ++calls_;
    // Terms of a sum may cancel to nothing but rounding; that is small beside the terms.
    const bool sums = name == "sum" || name == "instance_norm_sums";
    const double terms = sums ? norm(reads[0]) : 0.0;
    double& worst = errors_[name];
    for (std::size_t i = 0; i < writes.size(); ++i) {
      const double error = difference(on_host(call.writes[i]), writes[i], terms);
      if (!(error <= worst)) worst = error;  // one that is not a number stays
    }
  }

  /// A contiguous copy. Not by Tensor's own means, which would wait for the device, as no step may.
  Tensor on_host(const Tensor& t) {
    const Tensor there = Tensor::empty(t.shape(), t.dtype(), t.device());
    const Tensor here = Tensor::empty(t.shape(), t.dtype(), Device{});
    if (t.numel() == 0) return here;
    inner_.copy(t, there);
    const std::size_t bytes = static_cast<std::size_t>(t.numel()) * size_of(t.dtype());
    if (t.device() == Device{}) {
      std::memcpy(here.raw(), there.raw(), bytes);
    } else {
      inner_.copy_bytes(here.raw(), there.raw(), bytes, CopyKind::device_to_host);
    }
    return here;
  }

  static Tensor exact(const Tensor& t) { return t.dtype() == Dtype::i64 ? t : t.to(Dtype::f64); }

  /// |got - wanted| / (|wanted| + scale), not a number if either has one that is not; of integers whether they differ.
  static double difference(const Tensor& got, const Tensor& wanted, double scale) {
    if (got.dtype() == Dtype::i64) {
      const auto *a = got.data<std::int64_t>(), *b = wanted.data<std::int64_t>();
      return std::equal(a, a + got.numel(), b) ? 0.0 : INFINITY;
    }
    const Tensor right = exact(wanted);
    const double error = norm(sub(exact(got), right));
    return error == 0.0 ? 0.0 : error / (norm(right) + scale);
  }

  bool comparing_ = false;
  std::int64_t calls_ = 0;
  std::map<std::string, double> errors_;
};

/// Two trainings of other shapes: small layers of odd sizes, and such as large kernels are chosen for.
Config small_training(const std::string& preset, Device device, const std::string& precision) {
  ConfigBuilder builder(preset);
  const bool odd = preset == "mnist-quick";
  for (const char* key : {"ngf", "nif"}) builder.set(key, odd ? "3" : "8");
  builder.set("batch", odd ? "5" : "8");
  for (const char* key : {"posterior_steps", "prior_steps"}) builder.set(key, "2");
  builder.set("q_updates", "1");
  builder.set("diffusion_steps", "3");
  builder.set("ema_every", "1");
  builder.set("device", device.str());
  builder.set("precision", precision);
  return builder.finish();
}

/// A training and the numbers that it logs.
struct SmallTraining {
  explicit SmallTraining(const Config& config) : model(config), method(model) {}

  void iterate(std::int64_t first, std::int64_t count) {
    const std::int64_t size = model.images.size;
    const Shape shape{model.config.batch, size, size, model.images.channels};
    for (std::int64_t k = first; k < first + count; ++k) {
      const Tensor x = affine(Generator(9, static_cast<std::uint64_t>(k)).uniform(shape), 2.0, -1.0);
      for (const auto& [name, value] : method.iterate(k, x.to(model.device)).read()) numbers.push_back(value);
    }
  }
  StateDict state() const {
    StateDict all = model.state_dict();
    all.merge(method.state_dict());
    return all;
  }

  Model model;
  Method method;
  std::vector<double> numbers;
};

/// Where it is noted which GPUs were found good, in a folder that is there; nothing where none can be made.
std::optional<fs::path> checked_uses() {
  const fs::path cache = cache_folder();
  std::error_code failure;
  if (!cache.empty()) fs::create_directories(cache, failure);
  if (cache.empty() || failure) return {};
  return cache / "checked-devices";
}

bool holds_line(const fs::path& file, const std::string& wanted) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line == wanted) return true;
  }
  return false;
}

/// Observes nothing, so that no step is recorded.
std::unique_ptr<Backend> one_by_one(Device device) {
  return std::make_unique<ObservedBackend>(
      backend(device), [](const char*, const Tensor&, const std::function<void()>& call) { call(); });
}

CheckedPart check_memory(Device device) {
  const Tensor there = Generator(1).normal({1 << 20});
  const std::vector<float> sent = there.to_vector<float>(), back = there.to(device).to_vector<float>();
  const bool same = std::memcmp(sent.data(), back.data(), sent.size() * sizeof(float)) == 0;
  return {"memory", same ? "4 MiB there and back" : "4 MiB came back changed", same};
}

CheckedPart check_kernels(Device device, const std::string& precision) {
  std::map<std::string, double> errors;
  std::int64_t calls = 0;
  for (const char* preset : {"mnist-quick", "svhn"}) {
    auto comparison = std::make_unique<KernelComparison>(backend(device));
    const KernelComparison& seen = *comparison;
    const BackendOverride compared(device, std::move(comparison));
    SmallTraining(small_training(preset, device, precision)).iterate(0, 1);
    calls += seen.calls();
    for (const auto& [kernel, error] : seen.errors()) {
      if (!(error <= errors[kernel])) errors[kernel] = error;
    }
  }
  const auto worse = [](const auto& a, const auto& b) { return !(b.second <= a.second); };
  const auto worst = std::ranges::max_element(errors, worse);
  return {fmt::format("kernels, {}", precision),
          fmt::format("{} kernels in {} calls, largest error {:.1e} ({})", errors.size(), calls,
                      worst->second, worst->first),
          worst->second <= allowed(precision)};
}

CheckedPart check_recorded_steps(Device device) {
  constexpr std::int64_t count = kCallsUntilRecorded + 2;
  SmallTraining recorded(small_training("mnist-quick", device, "fp32"));
  recorded.iterate(0, count);
  const BackendOverride eager(device, one_by_one(device));
  SmallTraining single(small_training("mnist-quick", device, "fp32"));
  single.iterate(0, count);
  const bool same = recorded.numbers == single.numbers;
  return {"recorded steps",
          fmt::format("{} iterations {} as one kernel after the other", count,
                      same ? "the same bits" : "not the same"),
          same};
}

CheckedPart check_iterations(Device device) {
  constexpr std::int64_t count = 2;
  SmallTraining there(small_training("svhn", device, "fp32")), here(small_training("svhn", Device{}, "fp32"));
  there.iterate(0, count);
  here.iterate(0, count);
  double worst = 0.0;
  for (std::size_t i = 0; i < here.numbers.size(); ++i) {
    const double size = std::max({std::abs(here.numbers[i]), std::abs(there.numbers[i]), 1e-3});
    const double error = std::abs(here.numbers[i] - there.numbers[i]) / size;
    if (!(error <= worst)) worst = error;
  }
  return {"iterations", fmt::format("{} beside the CPU's, logged numbers within {:.1e}", count, worst),
          worst <= 1e-2};
}

CheckedPart check_state(Device device) {
  SmallTraining whole(small_training("mnist-quick", device, "fp32"));
  whole.iterate(0, 1);
  const fs::path file = fs::temp_directory_path() / fmt::format("damc-check-{}.safetensors", ::getpid());
  const struct Removed {
    fs::path file;
    ~Removed() {
      std::error_code ignored;
      fs::remove(file, ignored);
    }
  } removed{file};
  write_safetensors(file, whole.state());
  const StateDict state = read_safetensors(file).tensors;
  SmallTraining resumed(small_training("mnist-quick", device, "fp32"));
  resumed.model.load_state_dict(state);
  resumed.method.load_state_dict(state);
  whole.numbers.clear();
  whole.iterate(1, 1);
  resumed.iterate(1, 1);
  const bool same = whole.numbers == resumed.numbers;
  return {"state", same ? "written, read, went on with the same bits" : "went on with other numbers", same};
}

}  // namespace

bool check_device(Device device, const std::function<void(const CheckedPart&)>& report) {
  bool all = true;
  const auto run = [&](const char* name, const std::function<CheckedPart()>& check) {
    CheckedPart part{name, "", false};
    try {
      part = check();
    } catch (const std::exception& error) {
      const std::string what = error.what();
      part.found = what.substr(0, what.find('\n'));
    }
    all &= part.passed;
    report(part);
  };
  run("memory", [&] { return check_memory(device); });
  for (const char* precision : {"fp32", "tf32", "bf16"}) {
    if (device.type == DeviceType::cpu && precision == std::string("tf32")) continue;
    run("kernels", [&] { return check_kernels(device, precision); });
  }
  run("recorded steps", [&] { return check_recorded_steps(device); });
  if (device.type != DeviceType::cpu) run("iterations", [&] { return check_iterations(device); });
  run("state", [&] { return check_state(device); });
  return all;
}

void check_first_use(Device device) {
  if (device.type == DeviceType::cpu) return;
  std::error_code unknown;
  const auto built = fs::last_write_time("/proc/self/exe", unknown).time_since_epoch().count();
  const std::string use = fmt::format("{}, program of {}", cuda_identity(device.index), built);
  const std::optional<fs::path> file = checked_uses();
  if (file && holds_line(*file, use)) return;
  // One process tests for all that start at the same time; side by side each would take many times as long.
  std::unique_ptr<FolderLock> lock;
  if (file) {
    if (FolderLock::is_held(file->parent_path()))
      show_aside(
          fmt::format("{} is used for the first time: waiting for a process that tests it\n", device.str()));
    try {
      lock = std::make_unique<FolderLock>(file->parent_path(), FolderLock::IfHeld::wait);
    } catch (const Error&) {  // a folder that cannot be opened keeps nobody from testing
    }
    if (holds_line(*file, use)) return;
  }
  show_aside(fmt::format("{} is used for the first time: testing it\n", device.str()));
  const bool passed = check_device(device, [&](const CheckedPart& part) {
    if (!part.passed) show_aside(fmt::format("{} {} FAILED: {}\n", device.str(), part.name, part.found));
  });
  if (!passed) {
    throw Error(fmt::format(
        "{} does not compute as it should\nhint: 'damc info --check {}' shows all of it; use --device cpu, "
        "or --no-check to train all the same",
        device.str(), device.str()));
  }
  if (!file) return;
  try {
    append_line(*file, use);
  } catch (const std::exception&) {  // then it is tested again
  }
}

}  // namespace damc
