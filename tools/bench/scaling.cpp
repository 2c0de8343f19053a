#include "tools/bench/scaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "tensor/communicator.h"
#include "tensor/ops.h"
#include "tools/bench/suites.h"

namespace damc {
namespace {

/// The first of several processes that are not there: it only counts what they would send.
class CountingCommunicator final : public Communicator {
 public:
  explicit CountingCommunicator(std::int64_t devices) : devices_(devices) {}

  Part part() const override { return {0, devices_}; }
  std::vector<Tensor> sum(const std::vector<Tensor>& tensors) const override {
    ++messages;
    for (const Tensor& t : tensors) bytes += bytes_of(t);
    return tensors;
  }
  Tensor gather(const Tensor& rows) const override {
    ++messages;
    bytes += bytes_of(rows) * static_cast<double>(devices_) / 2.0;  // goes around once
    return cat(std::vector<Tensor>(static_cast<std::size_t>(devices_), rows), 0);
  }
  std::vector<std::string> gather(const std::string& text) const override {
    return std::vector<std::string>(static_cast<std::size_t>(devices_), text);
  }
  std::int64_t max(std::int64_t number) const override { return number; }

  mutable double bytes = 0.0;
  mutable std::int64_t messages = 0;

 private:
  static double bytes_of(const Tensor& t) {
    return static_cast<double>(t.numel()) * static_cast<double>(size_of(t.dtype()));
  }

  std::int64_t devices_;
};

SharedIteration count_share(const Config& config, const Gpu& gpu, const std::string& precision,
                            std::int64_t devices) {
  const CountingCommunicator among(devices);
  SharedIteration found{devices, config.batch / devices, 0.0, 0.0, 0.0, 0};
  for (const CountedPart& part : count_shared_iteration(config, among)) {
    const Floors f = floors(part.work, gpu, precision);
    const double seconds = std::max({f.compute, f.memory, f.graph});
    if (part.part != "total")
      (part.part.find("update") == part.part.npos ? found.chains : found.updates) += seconds;
  }
  found.bytes = among.bytes;
  found.messages = among.messages;
  return found;
}

}  // namespace

const std::vector<Link>& links() {
  static const std::vector<Link> all = {{"NVLink 4", 450.0, 5e-6},
                                        {"PCIe 5 x16", 63.0, 10e-6},
                                        {"100 Gbit/s", 12.5, 20e-6},
                                        {"10 Gbit/s", 1.25, 50e-6}};
  return all;
}

double seconds_of_sums(const Link& link, std::int64_t devices, double bytes, std::int64_t messages) {
  const double steps = 2.0 * static_cast<double>(devices - 1);
  return steps * (bytes / static_cast<double>(devices) / (1e9 * link.bandwidth) +
                  static_cast<double>(messages) * link.latency);
}

double SharedIteration::seconds(const Link& link) const {
  return chains + updates + seconds_of_sums(link, devices, bytes, messages);
}

double SharedIteration::overlapped(const Link& link) const {
  return chains + std::max(updates, seconds_of_sums(link, devices, bytes, messages));
}

std::vector<SharedIteration> count_shared(const Config& config, const Gpu& gpu,
                                          const std::string& precision) {
  std::vector<SharedIteration> all;
  for (std::int64_t devices = 1; config.batch % (4 * devices) == 0; devices *= 2)
    all.push_back(count_share(config, gpu, precision, devices));
  return all;
}

void print_scaling(const Config& config, const Gpu& gpu, const std::string& precision, std::FILE* to) {
  const std::vector<SharedIteration> all = count_shared(config, gpu, precision);
  if (all.empty()) return;
  fmt::print(to,
             "{}, batch {}, {} in {}: times as fast as one, without - with sums beside updates\n{:>7} {:>6} "
             "{:>8} {:>8} {:>5}",
             config.preset, config.batch, gpu.title, precision, "devices", "images", "ms", "MB sent", "sums");
  for (const Link& link : links()) fmt::print(to, " {:>13}", link.title);
  const double one = all[0].chains + all[0].updates;
  std::vector<std::int64_t> pays(links().size(), 1);
  for (const SharedIteration& shared : all) {
    fmt::print(to, "\n{:>7} {:>6} {:>8.3f} {:>8.1f} {:>5}", shared.devices, shared.images,
               1e3 * (shared.chains + shared.updates), 1e-6 * shared.bytes, shared.messages);
    for (std::size_t i = 0; i < links().size(); ++i) {
      const double plain = one / shared.seconds(links()[i]), beside = one / shared.overlapped(links()[i]);
      fmt::print(to, " {:>13}", fmt::format("{:.2f} - {:.2f}", plain, beside));
      if (plain >= 0.5 * static_cast<double>(shared.devices)) pays[i] = shared.devices;
    }
  }
  fmt::print(to, "\n{:>38}", "at least half used, up to devices");
  for (const std::int64_t devices : pays) fmt::print(to, " {:>13}", devices);
  fmt::print(to, "\n");
}

}  // namespace damc
