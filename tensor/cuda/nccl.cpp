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

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(const Communicator& host, CudaMemory& memory) : host_(host), memory_(memory) {
    memory_.use_device();
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

  /// As one group, which NCCL sends together.
  std::vector<Tensor> sum(const std::vector<Tensor>& tensors) const override {
    memory_.use_device();
    std::vector<Tensor> mine, sums;
    for (const Tensor& t : tensors) {
      ENSURE(t.device() == device(), "NCCL sends a tensor on {} from {}", t.device().str(), device().str());
      mine.push_back(t.contiguous());
      sums.push_back(Tensor::empty(t.shape(), t.dtype(), device()));
    }
    check(ncclGroupStart(), "ncclGroupStart");
    for (std::size_t i = 0; i < mine.size(); ++i) {
      const auto count = static_cast<std::size_t>(mine[i].numel());
      check(ncclAllReduce(mine[i].raw(), sums[i].raw(), count, nccl_type(mine[i].dtype()), ncclSum, comm_,
                          memory_.stream()),
            fmt::format("sum of {} {}", name(mine[i].dtype()), mine[i].shape().str()));
    }
    check(ncclGroupEnd(), fmt::format("sums of {} tensors", mine.size()));
    return sums;
  }

  Tensor gather(const Tensor& rows) const override {
    memory_.use_device();
    ENSURE(rows.device() == device(), "NCCL sends a tensor on {} from {}", rows.device().str(),
           device().str());
    const Tensor mine = rows.contiguous();
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
  Device device() const { return {DeviceType::cuda, memory_.index()}; }

  void check(ncclResult_t status, const std::string& what) const {
    if (status == ncclSuccess) return;
    const char* detail = ncclGetLastError(comm_);
    throw Error(fmt::format("NCCL: {}: {}{}{}", what, ncclGetErrorString(status),
                            detail && *detail ? ": " : "", detail ? detail : ""));
  }

  const Communicator& host_;
  CudaMemory& memory_;
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
