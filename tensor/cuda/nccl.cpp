#include "tensor/cuda/nccl.h"

#include <nccl.h>

#include <cstring>
#include <exception>

#include "tensor/cuda/check.h"
#include "tensor/error.h"

namespace damc {
namespace {

ncclDataType_t nccl_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return ncclFloat32;
    case Dtype::f64:
      return ncclFloat64;
    case Dtype::bf16:
      return ncclBfloat16;
    case Dtype::i64:
      break;
  }
  return ncclInt64;
}

/// Bytes of sums that are worth a message of their own while more are computed.
constexpr std::size_t kBucket = std::size_t{4} << 20;

/// A stream beside the main one, also within a step that is recorded.
class SideStream {
 public:
  explicit SideStream(const CudaMemory& memory) : main_(memory.stream()) {
    check_cuda(cudaStreamCreateWithFlags(&side_, cudaStreamNonBlocking), "cudaStreamCreate");
    check_cuda(cudaEventCreateWithFlags(&reached_, cudaEventDisableTiming), "cudaEventCreate");
  }
  ~SideStream() {
    cudaEventDestroy(reached_);
    cudaStreamDestroy(side_);
  }
  SideStream(const SideStream&) = delete;
  SideStream& operator=(const SideStream&) = delete;

  cudaStream_t stream() const { return side_; }
  /// What follows on it comes after what the main stream has to do by now.
  void fork() const { wait(side_, main_); }
  /// What follows on the main stream comes after what it has to do by now.
  void join() const { wait(main_, side_); }

 private:
  void wait(cudaStream_t stream, cudaStream_t other) const {
    check_cuda(cudaEventRecord(reached_, other), "cudaEventRecord");
    check_cuda(cudaStreamWaitEvent(stream, reached_), "cudaStreamWaitEvent");
  }

  cudaStream_t main_, side_ = nullptr;
  cudaEvent_t reached_ = nullptr;
};

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(const Communicator& host, CudaMemory& memory) : host_(host), memory_(memory) {
    memory_.use_device();
    beside_ = std::make_unique<SideStream>(memory);
    ncclUniqueId id{};
    if (leads()) check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    const std::string first = host.gather(std::string(id.internal, sizeof id.internal))[0];
    std::memcpy(id.internal, first.data(), sizeof id.internal);
    const auto [index, count] = part();
    check(ncclCommInitRank(&comm_, static_cast<int>(count), id, static_cast<int>(index)),
          fmt::format("process {} of {} on cuda:{}", index, count, memory.index()));
  }
  /// An error that ends this process alone waits for no other, whatever is queued.
  ~NcclCommunicator() override {
    if (!comm_) return;
    cudaSetDevice(memory_.index());
    if (std::uncaught_exceptions() > 0) {
      ncclCommAbort(comm_);
    } else {
      cudaStreamSynchronize(memory_.stream());
      ncclCommDestroy(comm_);
    }
  }

  Part part() const override { return host_.part(); }

  std::vector<Tensor> sum(const std::vector<Tensor>& tensors) const override {
    std::vector<Tensor> mine, sums;
    for (const Tensor& t : tensors) {
      mine.push_back(operand(t));
      sums.push_back(Tensor::empty(t.shape(), t.dtype(), device()));
    }
    queue(mine, sums, memory_.stream());
    return sums;
  }

  std::unique_ptr<Sums> sums(std::size_t places) const override {
    return std::make_unique<Buckets>(*this, places);
  }

  Tensor gather(const Tensor& rows) const override {
    memory_.use_device();
    const Tensor mine = operand(rows);
    Shape shape = mine.shape();
    shape[0] *= part().count;
    Tensor all = Tensor::empty(shape, mine.dtype(), device());
    check(ncclAllGather(mine.raw(), all.raw(), static_cast<std::size_t>(mine.numel()),
                        nccl_type(mine.dtype()), comm_, memory_.stream()),
          fmt::format("rows of {} {}", name(mine.dtype()), mine.shape().str()));
    return all;
  }

  std::vector<std::string> gather(const std::string& text) const override { return host_.gather(text); }

  std::int64_t max(std::int64_t number) const override {
    ncclResult_t since = ncclSuccess;
    check(ncclCommGetAsyncError(comm_, &since), "ncclCommGetAsyncError");
    check(since, "what was queued");
    return host_.max(number);
  }

 private:
  /// Sums that travel in buckets, on a stream beside the main one. What they are of lives until they have arrived.
  class Buckets final : public Sums {
   public:
    Buckets(const NcclCommunicator& among, std::size_t places)
        : among_(among), mine_(places), sums_(places) {}

    void put(std::size_t place, const Tensor& mine) override {
      mine_[place] = among_.operand(mine);
      sums_[place] = Tensor::empty(mine.shape(), mine.dtype(), among_.device());
      bucket_.push_back(place);
      bytes_ += static_cast<std::size_t>(mine.numel()) * size_of(mine.dtype());
      if (bytes_ >= kBucket) send();
    }

    std::vector<Tensor> finish() override {
      if (!bucket_.empty()) send();
      among_.beside_->join();
      mine_.clear();
      return std::move(sums_);
    }

   private:
    void send() {
      std::vector<Tensor> mine, sums;
      for (const std::size_t place : bucket_) {
        mine.push_back(mine_[place]);
        sums.push_back(sums_[place]);
      }
      among_.beside_->fork();
      among_.queue(mine, sums, among_.beside_->stream());
      bucket_.clear();
      bytes_ = 0;
    }

    const NcclCommunicator& among_;
    std::vector<Tensor> mine_, sums_;
    std::vector<std::size_t> bucket_;  // places that wait for more
    std::size_t bytes_ = 0;            // of them
  };

  /// As NCCL sends it.
  Tensor operand(const Tensor& t) const {
    ENSURE(t.device() == device(), "NCCL sends a tensor on {} from {}", t.device().str(), device().str());
    return t.contiguous();
  }

  /// Queues sums as one group, which NCCL sends together.
  void queue(const std::vector<Tensor>& mine, const std::vector<Tensor>& sums, cudaStream_t stream) const {
    memory_.use_device();
    check(ncclGroupStart(), "ncclGroupStart");
    for (std::size_t i = 0; i < mine.size(); ++i) {
      const auto count = static_cast<std::size_t>(mine[i].numel());
      check(ncclAllReduce(mine[i].raw(), sums[i].raw(), count, nccl_type(mine[i].dtype()), ncclSum, comm_,
                          stream),
            fmt::format("sum of {} {}", name(mine[i].dtype()), mine[i].shape().str()));
    }
    check(ncclGroupEnd(), fmt::format("sums of {} tensors", mine.size()));
  }

  Device device() const { return {DeviceType::cuda, memory_.index()}; }

  void check(ncclResult_t status, const std::string& what) const {
    if (status == ncclSuccess) return;
    const char* detail = ncclGetLastError(comm_);
    throw Error(fmt::format("NCCL: {}: {}{}{}", what, ncclGetErrorString(status),
                            detail && *detail ? ": " : "", detail ? detail : ""));
  }

  const Communicator& host_;
  CudaMemory& memory_;
  std::unique_ptr<SideStream> beside_;
  ncclComm_t comm_ = nullptr;
};

}  // namespace

std::unique_ptr<Communicator> join_by_nccl(const Communicator& host, CudaMemory& memory) {
  return std::make_unique<NcclCommunicator>(host, memory);
}

std::string nccl_summary() {
  int version = 0;
  ncclGetVersion(&version);
  return fmt::format("NCCL {}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

}  // namespace damc
