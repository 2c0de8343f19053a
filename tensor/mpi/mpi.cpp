#include <mpi.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>

#include "tensor/error.h"
#include "tensor/mpi/processes.h"

namespace damc {
namespace {

/// As MPI counts.
int counted(std::int64_t count) {
  ENSURE(count <= std::numeric_limits<int>::max(), "{} elements in a message", count);
  return static_cast<int>(count);
}

/// Failures of MPI itself end all processes, with its message.
class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator() {
    int level = 0, index = 0, count = 1;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &index);
    MPI_Comm_size(MPI_COMM_WORLD, &count);
    part_ = {index, count};
  }
  /// Waits for the others to end as well. Where an error ends this process alone, it takes no leave: that tells the
  /// launcher to end the others.
  ~MpiCommunicator() override {
    if (std::uncaught_exceptions() == 0) MPI_Finalize();
  }

  Part part() const override { return part_; }

  std::vector<Tensor> sum(const std::vector<Tensor>& tensors) const override {
    if (tensors.empty() || part_.count == 1) return tensors;
    return tensors[0].dtype() == Dtype::f64 ? sum_of<double>(tensors, Dtype::f64, MPI_DOUBLE)
                                            : sum_of<float>(tensors, Dtype::f32, MPI_FLOAT);
  }

  Tensor gather(const Tensor& rows) const override {
    check(rows, rows.dtype());
    const Tensor mine = rows.contiguous();
    Shape shape = mine.shape();
    shape[0] *= part_.count;
    Tensor all = Tensor::empty(shape, mine.dtype());
    const int bytes = counted(mine.numel() * static_cast<std::int64_t>(size_of(mine.dtype())));
    MPI_Allgather(mine.raw(), bytes, MPI_BYTE, all.raw(), bytes, MPI_BYTE, MPI_COMM_WORLD);
    return all;
  }

  std::vector<std::string> gather(const std::string& text) const override {
    const auto processes = static_cast<std::size_t>(part_.count);
    const int size = counted(static_cast<std::int64_t>(text.size()));
    std::vector<int> sizes(processes), starts(processes);
    MPI_Allgather(&size, 1, MPI_INT, sizes.data(), 1, MPI_INT, MPI_COMM_WORLD);
    std::int64_t end = 0;
    for (std::size_t p = 0; p < processes; ++p) {
      starts[p] = counted(end);
      end += sizes[p];
    }
    std::string all(static_cast<std::size_t>(counted(end)), '\0');
    MPI_Allgatherv(text.data(), size, MPI_CHAR, all.data(), sizes.data(), starts.data(), MPI_CHAR,
                   MPI_COMM_WORLD);
    std::vector<std::string> texts;
    for (std::size_t p = 0; p < processes; ++p)
      texts.push_back(all.substr(static_cast<std::size_t>(starts[p]), static_cast<std::size_t>(sizes[p])));
    return texts;
  }

  std::int64_t max(std::int64_t number) const override {
    MPI_Allreduce(MPI_IN_PLACE, &number, 1, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
    return number;
  }

 private:
  static void check(const Tensor& t, Dtype dtype) {
    ENSURE(t.device() == Device{} && t.dtype() == dtype, "MPI sends a {} on {}, where {} on the CPU is due",
           name(t.dtype()), t.device().str(), name(dtype));
  }

  /// Each process adds up a slice of everything, in the order of the processes, which MPI's own sums leave open.
  template <class T>
  std::vector<Tensor> sum_of(const std::vector<Tensor>& tensors, Dtype dtype, MPI_Datatype type) const {
    std::int64_t total = 0;
    for (const Tensor& t : tensors) {
      check(t, dtype);
      total += t.numel();
    }
    const std::int64_t slice = (total + part_.count - 1) / part_.count;
    const Tensor whole = Tensor::zeros({part_.count * slice}, dtype),
                 slices = Tensor::empty(whole.shape(), dtype);
    T* at = static_cast<T*>(whole.raw());
    for (const Tensor& t : tensors) {
      const Tensor values = t.contiguous();
      std::memcpy(at, values.raw(), static_cast<std::size_t>(t.numel()) * sizeof(T));
      at += t.numel();
    }
    const int count = counted(slice);
    MPI_Alltoall(whole.raw(), count, type, slices.raw(), count, type, MPI_COMM_WORLD);
    T* sums = static_cast<T*>(slices.raw());
    for (std::int64_t p = 1; p < part_.count; ++p)
      std::transform(sums, sums + slice, sums + p * slice, sums, std::plus<T>());
    MPI_Allgather(slices.raw(), count, type, whole.raw(), count, type, MPI_COMM_WORLD);
    return cut(whole, tensors);
  }

  /// Tensors of the shapes of `like`, one after the other in `flat`.
  static std::vector<Tensor> cut(const Tensor& flat, const std::vector<Tensor>& like) {
    std::vector<Tensor> parts;
    std::int64_t first = 0;
    for (const Tensor& t : like) {
      parts.push_back(flat.narrow(0, first, t.numel()).reshape(t.shape()));
      first += t.numel();
    }
    return parts;
  }

  Part part_;
};

}  // namespace

std::unique_ptr<Communicator> join_processes() {
  const auto [part, by] = launched();
  if (part.count == 1) return std::make_unique<Alone>();
  if (by == "torchrun") {
    user_error(fmt::format("torchrun started {} processes, which do not know each other by MPI", part.count),
               "start them with mpirun, with srun --mpi=pmix, or on this machine with --processes N");
  }
  auto joined = std::make_unique<MpiCommunicator>();
  if (joined->part().count != part.count) {
    user_error(fmt::format("{} processes were started, but MPI knows of {}: each would work by itself",
                           part.count, joined->part().count),
               "start them with the mpirun of the MPI that damc was built with, or with srun --mpi=pmix");
  }
  return joined;
}

}  // namespace damc
