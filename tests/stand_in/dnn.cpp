/// cuDNN's graph API. Descriptors are the library's own, checked by it, and its plans are made for a described H100; what
/// was set in them is noted here, and what a plan computes is read from that.
#include <cudnn.h>
#include <dlfcn.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tensor/cuda/convolution.h"
#include "tests/described_gpus.h"
#include "tests/stand_in/convolution.h"
#include "tests/stand_in/gpu.h"

using stand_in::Array;
using stand_in::Convolution;
using stand_in::gpu;
using stand_in::Pass;
using stand_in::Rounding;

namespace {

/// A function of the library whose place this file's function of that name takes.
template <class Function>
Function* library(const char* name, Function*) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
#define LIBRARY(name) library(#name, name)

/// What was set in a descriptor.
struct Note {
  struct Value {
    std::vector<std::int64_t> integers;
    std::vector<double> numbers;
    std::vector<std::shared_ptr<const Note>> descriptors;
    std::vector<const void*> pointers;
  };
  cudnnBackendDescriptorType_t type;
  std::map<cudnnBackendAttributeName_t, Value> values;
  std::shared_ptr<const Note> graph;   // of an engine's configuration: what it was suggested for
  Rounding rounding = Rounding::none;  // of a plan: of its operands

  const Value& at(cudnnBackendAttributeName_t name) const {
    static const Value unset;
    const auto found = values.find(name);
    return found == values.end() ? unset : found->second;
  }
  std::int64_t integer(cudnnBackendAttributeName_t name) const {
    const auto& integers = at(name).integers;
    return integers.empty() ? 0 : integers[0];
  }
  const Note& descriptor(cudnnBackendAttributeName_t name) const { return *at(name).descriptors.at(0); }
};

std::map<cudnnBackendDescriptor_t, std::shared_ptr<Note>> notes;
std::map<cudnnHandle_t, cudaStream_t> streams;

template <class From, class To>
void append(std::vector<To>& to, std::int64_t count, const void* values) {
  const From* from = static_cast<const From*>(values);
  std::transform(from, from + count, std::back_inserter(to),
                 [](const From& x) { return static_cast<To>(x); });
}

void note_value(Note& note, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                std::int64_t count, const void* values) {
  Note::Value value;
  switch (type) {
    case CUDNN_TYPE_INT64:
      append<std::int64_t>(value.integers, count, values);
      break;
    case CUDNN_TYPE_DATA_TYPE:
    case CUDNN_TYPE_CONVOLUTION_MODE:
      append<int>(value.integers, count, values);
      break;
    case CUDNN_TYPE_FLOAT:
      append<float>(value.numbers, count, values);
      break;
    case CUDNN_TYPE_DOUBLE:
      append<double>(value.numbers, count, values);
      break;
    case CUDNN_TYPE_VOID_PTR:
      append<const void*>(value.pointers, count, values);
      break;
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
      for (std::int64_t i = 0; i < count; ++i)
        value.descriptors.push_back(notes.at(static_cast<const cudnnBackendDescriptor_t*>(values)[i]));
      break;
    default:
      break;
  }
  note.values[name] = std::move(value);
}

/// How an engine multiplies, by the library's notes on it.
Rounding rounding_of(cudnnBackendDescriptor_t config) {
  static const auto get = LIBRARY(cudnnBackendGetAttribute);
  cudnnBackendDescriptor_t engine = nullptr;
  LIBRARY(cudnnBackendCreateDescriptor)(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine);
  std::int64_t count = 0;
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> found{};
  get(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine);
  get(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, std::int64_t{found.size()}, &count,
      found.data());
  LIBRARY(cudnnBackendDestroyDescriptor)(engine);
  const auto has = [&](cudnnBackendNumericalNote_t note) {
    return std::find(found.begin(), found.begin() + count, note) != found.begin() + count;
  };
  return has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS) ? Rounding::bf16
         : has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE)       ? Rounding::tf32
                                                       : Rounding::none;
}

/// Tells the library which device a heuristic or plan is for.
cudnnStatus_t describe_device(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name) {
  static const auto set = LIBRARY(cudnnBackendSetAttribute);
  static const cudnnBackendDescriptor_t device = [] {
    cudnnBackendDescriptor_t made = nullptr;
    const std::string json = damc::kH100.json();
    LIBRARY(cudnnBackendCreateDescriptor)(damc::kDeviceDescriptor, &made);
    set(made, damc::kDeviceJson, CUDNN_TYPE_CHAR, static_cast<std::int64_t>(json.size()), json.data());
    cudnnBackendFinalize(made);
    return made;
  }();
  return set(descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &device);
}

cudaDataType_t number_type(std::int64_t type) {
  return type == CUDNN_DATA_DOUBLE ? CUDA_R_64F : type == CUDNN_DATA_FLOAT ? CUDA_R_32F : CUDA_R_16BF;
}

template <std::size_t N>
std::array<std::int64_t, N> integers(const Note& note, cudnnBackendAttributeName_t name) {
  std::array<std::int64_t, N> all{};
  const auto& found = note.at(name).integers;
  std::copy_n(found.begin(), std::min(N, found.size()), all.begin());
  return all;
}

/// Operands by their ids; what a plan computes with them.
class Operation {
 public:
  Operation(const Note& plan, const Note& pack) : pack_(pack) {
    const Note& graph = *plan.descriptor(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).graph;
    const Note& operation = graph.descriptor(CUDNN_ATTR_OPERATIONGRAPH_OPS);
    switch (operation.type) {
      case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        read(Pass::forward, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA);
        break;
      case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
        read(Pass::data, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA);
        break;
      case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
        read(Pass::filter, operation, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA);
        break;
      default:
        known_ = false;
    }
    known_ &= graph.at(CUDNN_ATTR_OPERATIONGRAPH_OPS).descriptors.size() == 1;
    const std::int64_t channels = convolution_.x.dims[1], of_group = convolution_.w.dims[1];
    known_ &= channels % of_group == 0 && convolution_.w.dims[0] % (channels / of_group) == 0;
    if (convolution_.x.type == CUDA_R_32F) convolution_.rounding = plan.rounding;
  }

  /// Whether it is a convolution and no more; others are not made here.
  bool known() const { return known_; }
  const Convolution& convolution() const { return convolution_; }

 private:
  void read(Pass pass, const Note& from, cudnnBackendAttributeName_t x, cudnnBackendAttributeName_t w,
            cudnnBackendAttributeName_t y, cudnnBackendAttributeName_t description,
            cudnnBackendAttributeName_t alpha, cudnnBackendAttributeName_t beta) {
    const Note& how = from.descriptor(description);
    convolution_ = {pass,
                    array(from.descriptor(x)),
                    array(from.descriptor(w)),
                    array(from.descriptor(y)),
                    integers<2>(how, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS),
                    integers<2>(how, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES),
                    integers<2>(how, CUDNN_ATTR_CONVOLUTION_DILATIONS),
                    how.integer(CUDNN_ATTR_CONVOLUTION_CONV_MODE) == CUDNN_CONVOLUTION,
                    how.integer(CUDNN_ATTR_CONVOLUTION_COMP_TYPE) == CUDNN_DATA_DOUBLE,
                    Rounding::none,
                    from.at(alpha).numbers.at(0),
                    from.at(beta).numbers.at(0)};
  }
  Array array(const Note& tensor) const {
    const std::int64_t id = tensor.integer(CUDNN_ATTR_TENSOR_UNIQUE_ID);
    const auto& ids = pack_.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).integers;
    const auto found = static_cast<std::size_t>(std::find(ids.begin(), ids.end(), id) - ids.begin());
    const Array made{const_cast<void*>(pack_.at(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS).pointers.at(found)),
                     number_type(tensor.integer(CUDNN_ATTR_TENSOR_DATA_TYPE)),
                     integers<4>(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS),
                     integers<4>(tensor, CUDNN_ATTR_TENSOR_STRIDES)};
    gpu.operand("cudnnBackendExecute", made.data, stand_in::extent(made));
    const auto alignment = static_cast<std::uintptr_t>(tensor.integer(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT));
    if (reinterpret_cast<std::uintptr_t>(made.data) % alignment != 0)
      gpu.problem("cudnnBackendExecute", "an operand not aligned");
    return made;
  }

  const Note& pack_;
  Convolution convolution_{};
  bool known_ = true;
};

/// Whether this one of the plans is made to fail. What has run goes on running.
std::set<const void*> proven;
bool refuses(const void* plan) {
  static const long long every = stand_in::setting("STAND_IN_REFUSES", 0);
  static long long plans = 0;
  if (every < 1 || proven.contains(plan)) return false;
  if (++plans % every == 0) return ++gpu.refused, true;
  proven.insert(plan);
  return false;
}

void check_workspace(cudnnBackendDescriptor_t plan, const Note& pack) {
  std::int64_t bytes = 0, count = 0;
  LIBRARY(cudnnBackendGetAttribute)
  (plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &bytes);
  if (bytes > 0)
    gpu.operand("cudnnBackendExecute", pack.at(CUDNN_ATTR_VARIANT_PACK_WORKSPACE).pointers.at(0),
                static_cast<std::size_t>(bytes));
}

}  // namespace

extern "C" {

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  return *handle = gpu.make_handle<cudnnHandle_t>(), CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) { return streams.erase(handle), CUDNN_STATUS_SUCCESS; }
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  gpu.at_home(__func__, handle);
  gpu.at_home(__func__, stream);
  return streams[handle] = stream, CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* made) {
  static const auto create = LIBRARY(cudnnBackendCreateDescriptor);
  const cudnnStatus_t status = create(type, made);
  if (status == CUDNN_STATUS_SUCCESS) notes[*made] = std::make_shared<Note>(Note{type, {}, nullptr});
  return status;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  static const auto destroy = LIBRARY(cudnnBackendDestroyDescriptor);
  notes.erase(descriptor);
  proven.erase(descriptor);
  return destroy(descriptor);
}
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t count,
                                       const void* values) {
  static const auto set = LIBRARY(cudnnBackendSetAttribute);
  Note& note = *notes.at(descriptor);
  note_value(note, name, type, count, values);
  switch (name) {
    case CUDNN_ATTR_OPERATIONGRAPH_HANDLE:
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_EXECUTION_PLAN_HANDLE:
      return describe_device(descriptor, damc::kPlanDevice);
    case CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG:
      note.rounding = rounding_of(*static_cast<const cudnnBackendDescriptor_t*>(values));
      break;
    case CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH:
      if (gpu.recording()) gpu.problem(__func__, "a shape that the runs before the recording did not have");
      describe_device(descriptor, damc::kHeuristicsDevice);
      break;
    default:
      break;
  }
  return set(descriptor, name, type, count, values);
}
cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t asked,
                                       std::int64_t* count, void* values) {
  static const auto get = LIBRARY(cudnnBackendGetAttribute);
  const cudnnStatus_t status = get(descriptor, name, type, asked, count, values);
  if (status == CUDNN_STATUS_SUCCESS && name == CUDNN_ATTR_ENGINEHEUR_RESULTS && values) {
    const auto graph = notes.at(descriptor)->at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).descriptors.at(0);
    const auto* configs = static_cast<const cudnnBackendDescriptor_t*>(values);
    for (std::int64_t i = 0; i < std::min(asked, *count); ++i) notes.at(configs[i])->graph = graph;
  }
  return status;
}
cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  if (refuses(plan)) return CUDNN_STATUS_EXECUTION_FAILED;
  ++gpu.convolutions;
  gpu.at_home(__func__, handle);
  const Operation operation(*notes.at(plan), *notes.at(pack));
  if (!operation.known()) return CUDNN_STATUS_NOT_SUPPORTED;
  check_workspace(plan, *notes.at(pack));
  gpu.enqueue(__func__, streams.at(handle), [c = operation.convolution()] { convolve(c); });
  return CUDNN_STATUS_SUCCESS;
}

}  // extern "C"
