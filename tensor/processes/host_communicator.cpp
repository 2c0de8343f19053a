#include "tensor/processes/host_communicator.h"

#include <algorithm>
#include <cstring>
#include <functional>

#include "tensor/error.h"

namespace damc {
namespace {

void check(const Tensor& t, Dtype dtype) {
  ENSURE(t.device() == Device{} && t.dtype() == dtype,
         "a {} on {} for other processes, where {} on the CPU is due", name(t.dtype()), t.device().str(),
         name(dtype));
}

/// The memory of a contiguous tensor.
std::span<std::byte> memory(const Tensor& t) {
  return {static_cast<std::byte*>(t.raw()), static_cast<std::size_t>(t.numel()) * size_of(t.dtype())};
}

/// `count` equal parts, one after the other.
std::vector<std::span<std::byte>> parts(std::span<std::byte> whole, std::int64_t count) {
  const std::size_t size = whole.size() / static_cast<std::size_t>(count);
  std::vector<std::span<std::byte>> all;
  for (std::size_t p = 0; p < static_cast<std::size_t>(count); ++p)
    all.push_back(whole.subspan(p * size, size));
  return all;
}

/// Tensors of the shapes of `like`, one after the other in `flat`.
std::vector<Tensor> cut(const Tensor& flat, const std::vector<Tensor>& like) {
  std::vector<Tensor> all;
  std::int64_t first = 0;
  for (const Tensor& t : like) {
    all.push_back(flat.narrow(0, first, t.numel()).reshape(t.shape()));
    first += t.numel();
  }
  return all;
}

void copy(std::span<const std::byte> from, std::span<std::byte> to) {
  if (!from.empty() && from.data() != to.data()) std::memcpy(to.data(), from.data(), from.size());
}

}  // namespace

std::vector<Tensor> HostCommunicator::sum(const std::vector<Tensor>& tensors) const {
  if (tensors.empty() || part_.count == 1) return tensors;
  return tensors[0].dtype() == Dtype::f64 ? sum_of<double>(tensors, Dtype::f64)
                                          : sum_of<float>(tensors, Dtype::f32);
}

Tensor HostCommunicator::gather(const Tensor& rows) const {
  check(rows, rows.dtype());
  const Tensor mine = rows.contiguous();
  Shape shape = mine.shape();
  shape[0] *= part_.count;
  Tensor all = Tensor::empty(shape, mine.dtype());
  gather_bytes(memory(mine), parts(memory(all), part_.count));
  return all;
}

std::vector<std::string> HostCommunicator::gather(const std::string& text) const {
  std::vector<std::string> texts;
  for (const std::int64_t size : gather_numbers(static_cast<std::int64_t>(text.size()))) {
    ENSURE(size >= 0 && size <= (std::int64_t{1} << 30), "a text of {} bytes from process {}", size,
           texts.size());
    texts.emplace_back(static_cast<std::size_t>(size), '\0');
  }
  Received from;
  for (std::string& t : texts) from.push_back(std::as_writable_bytes(std::span(t)));
  gather_bytes(std::as_bytes(std::span(text)), from);
  return texts;
}

std::int64_t HostCommunicator::max(std::int64_t number) const {
  return std::ranges::max(gather_numbers(number));
}

void HostCommunicator::gather_bytes(std::span<const std::byte> mine, const Received& from) const {
  exchange(Sent(from.size(), mine), from);
  copy(mine, from[static_cast<std::size_t>(part_.index)]);
}

std::vector<std::int64_t> HostCommunicator::gather_numbers(std::int64_t number) const {
  std::vector<std::int64_t> all(static_cast<std::size_t>(part_.count));
  gather_bytes(std::as_bytes(std::span(&number, 1)),
               parts(std::as_writable_bytes(std::span(all)), part_.count));
  return all;
}

/// Each process adds up a slice of everything, in the order of the processes, and sends it to all.
template <class T>
std::vector<Tensor> HostCommunicator::sum_of(const std::vector<Tensor>& tensors, Dtype dtype) const {
  std::int64_t total = 0;
  for (const Tensor& t : tensors) {
    check(t, dtype);
    total += t.numel();
  }
  const std::int64_t slice = (total + part_.count - 1) / part_.count;
  const Tensor whole = Tensor::zeros({part_.count * slice}, dtype),
               slices = Tensor::empty(whole.shape(), dtype);
  std::byte* at = memory(whole).data();
  for (const Tensor& t : tensors) {
    const Tensor values = t.contiguous();
    copy(memory(values), {at, memory(values).size()});
    at += memory(values).size();
  }
  const auto mine = static_cast<std::size_t>(part_.index);
  const Received of_whole = parts(memory(whole), part_.count), of_all = parts(memory(slices), part_.count);
  exchange(Sent(of_whole.begin(), of_whole.end()), of_all);
  copy(of_whole[mine], of_all[mine]);
  T* sums = static_cast<T*>(slices.raw());
  for (std::int64_t p = 1; p < part_.count; ++p)
    std::transform(sums, sums + slice, sums + p * slice, sums, std::plus<T>());
  gather_bytes(of_all[0], of_whole);
  return cut(whole, tensors);
}

}  // namespace damc
