/// What processes agree on and add up on the host, whatever carries their bytes.
#pragma once

#include <cstddef>
#include <span>

#include "tensor/communicator.h"

namespace damc {

/// Sums, gathers and agreements of tensors on the CPU, all made of one exchange of bytes.
class HostCommunicator : public Communicator {
 public:
  explicit HostCommunicator(Part part) : part_(part) {}

  Part part() const final { return part_; }
  std::vector<Tensor> sum(const std::vector<Tensor>& tensors) const final;
  Tensor gather(const Tensor& rows) const final;
  std::vector<std::string> gather(const std::string& text) const final;
  std::int64_t max(std::int64_t number) const final;

 protected:
  using Sent = std::vector<std::span<const std::byte>>;
  using Received = std::vector<std::span<std::byte>>;

  /// Sends `to[p]` to process p and fills `from[p]` from it, for all but this one, in both directions at once. The sizes
  /// are those that the others expect.
  virtual void exchange(const Sent& to, const Received& from) const = 0;

 private:
  /// Fills `from[p]` with the `mine` of process p.
  void gather_bytes(std::span<const std::byte> mine, const Received& from) const;
  std::vector<std::int64_t> gather_numbers(std::int64_t number) const;
  template <class T>
  std::vector<Tensor> sum_of(const std::vector<Tensor>& tensors, Dtype dtype) const;

  Part part_;
};

}  // namespace damc
