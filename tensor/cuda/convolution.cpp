#include "tensor/cuda/convolution.h"

#include <algorithm>
#include <array>
#include <vector>

#include "tensor/cuda/check.h"
#include "tensor/cuda/launch.h"
#include "tensor/error.h"

namespace damc {
namespace {

enum : std::int64_t { kX = 1, kFilter = 2, kY = 3 };  // ids that tie a plan's operands to pointers

const char* name(ConvPass pass) {
  return pass == ConvPass::forward  ? "convolution"
         : pass == ConvPass::grad_x ? "convolution input gradient"
                                    : "convolution weight gradient";
}

std::string describe(ConvPass pass, const ConvGeometry& s, const ConvTypes& types) {
  const char* type = types.precision == MatmulPrecision::tf32 ? "tf32" : damc::name(types.images);
  return fmt::format("{} {} of image {}, filter {}, output {}, {}", type, name(pass), s.in_shape().str(),
                     s.filter_shape().str(), s.out_shape().str(), s.str());
}

/// One of cuDNN's descriptors, with typed attributes.
class Descriptor {
 public:
  Descriptor(cudnnBackendDescriptorType_t type, std::string what) : what_(std::move(what)) {
    check_cudnn(cudnnBackendCreateDescriptor(type, &raw_), what_);
  }
  ~Descriptor() {
    if (raw_) cudnnBackendDestroyDescriptor(raw_);
  }
  Descriptor(Descriptor&& other) noexcept
      : raw_(std::exchange(other.raw_, nullptr)), what_(std::move(other.what_)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t attribute, cudnnBackendAttributeType_t type, std::int64_t count,
                  const T* values) {
    check_cudnn(cudnnBackendSetAttribute(raw_, attribute, type, count, values), what_);
    return *this;
  }
  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t attribute, cudnnBackendAttributeType_t type, T value) {
    return set(attribute, type, 1, &value);
  }
  Descriptor& finalize() {
    check_cudnn(cudnnBackendFinalize(raw_), what_);
    return *this;
  }
  bool try_finalize() { return cudnnBackendFinalize(raw_) == CUDNN_STATUS_SUCCESS; }
  cudnnBackendDescriptor_t raw() const { return raw_; }

 private:
  cudnnBackendDescriptor_t raw_ = nullptr;
  std::string what_;
};

cudnnDataType_t data_type(Dtype dtype) {
  return dtype == Dtype::f32    ? CUDNN_DATA_FLOAT
         : dtype == Dtype::bf16 ? CUDNN_DATA_BFLOAT16
                                : CUDNN_DATA_DOUBLE;
}

Descriptor tensor_descriptor(std::int64_t id, Dtype dtype, const std::array<std::int64_t, 4>& dims,
                             const std::array<std::int64_t, 4>& strides, const std::string& what) {
  Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, what);
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, data_type(dtype))
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims.data())
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides.data())
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, kConvAlignment)
      .finalize();
  return tensor;
}

/// The names of one pass's attributes.
struct PassAttributes {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t alpha, beta, convolution, x, filter, y;
};

PassAttributes attributes(ConvPass pass) {
  switch (pass) {
    case ConvPass::forward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y};
    case ConvPass::grad_x:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY};
    case ConvPass::grad_w:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY};
  }
  throw Error("convolution: unknown pass");
}

/// A pass as the library's operation, with the descriptors it consists of; the operation is the last.
std::vector<Descriptor> make_operation(ConvPass pass, const ConvGeometry& s, const ConvTypes& types,
                                       const ConvForm& form, const std::string& what) {
  const ConvDescriptors d = conv_descriptors(s, form.channels);
  const PassAttributes a = attributes(pass);
  std::vector<Descriptor> parts;
  parts.push_back(tensor_descriptor(kX, types.images, d.x_dims, d.x_strides, what));
  parts.push_back(tensor_descriptor(kFilter, form.filter, d.w_dims, d.w_strides, what));
  parts.push_back(tensor_descriptor(kY, types.images, d.y_dims, d.y_strides, what));
  Descriptor convolution(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, what);
  convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, data_type(computed(types.images)))
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION)
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, std::int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, d.padding.data())
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, d.padding.data())
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, d.dilation.data())
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, d.stride.data())
      .finalize();
  Descriptor operation(a.operation, what);
  if (computed(types.images) == Dtype::f32) {  // scaling factors are of the type that is computed in
    operation.set(a.alpha, CUDNN_TYPE_FLOAT, 1.0f).set(a.beta, CUDNN_TYPE_FLOAT, 0.0f);
  } else {
    operation.set(a.alpha, CUDNN_TYPE_DOUBLE, 1.0).set(a.beta, CUDNN_TYPE_DOUBLE, 0.0);
  }
  operation.set(a.convolution, CUDNN_TYPE_BACKEND_DESCRIPTOR, convolution.raw())
      .set(a.x, CUDNN_TYPE_BACKEND_DESCRIPTOR, parts[0].raw())
      .set(a.filter, CUDNN_TYPE_BACKEND_DESCRIPTOR, parts[1].raw())
      .set(a.y, CUDNN_TYPE_BACKEND_DESCRIPTOR, parts[2].raw())
      .finalize();
  parts.push_back(std::move(convolution));
  parts.push_back(std::move(operation));
  return parts;
}

/// What plans are made for: the device of a handle, or one that is only described.
struct Target {
  cudnnHandle_t handle = nullptr;
  cudnnBackendDescriptor_t description = nullptr;
};

/// The one-operation graph of a pass, with the descriptors it consists of.
struct Graph {
  std::vector<Descriptor> parts;
  cudnnBackendDescriptor_t raw() const { return parts.back().raw(); }
};

Graph make_graph(const Target& target, ConvPass pass, const ConvGeometry& s, const ConvTypes& types,
                 const ConvForm& form, const std::string& what) {
  Graph graph{make_operation(pass, s, types, form, what)};
  Descriptor whole(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, what);
  if (target.handle) whole.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, target.handle);
  whole.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, graph.raw()).finalize();
  graph.parts.push_back(std::move(whole));
  return graph;
}

/// The library's suggestions for a graph under one heuristic, best first.
std::vector<Descriptor> suggest(const Target& target, const Graph& graph, cudnnBackendHeurMode_t mode,
                                const std::string& what) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, what);
  if (target.description)
    heuristics.set(kHeuristicsDevice, CUDNN_TYPE_BACKEND_DESCRIPTOR, target.description);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, graph.raw())
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
  if (!heuristics.try_finalize()) return {};
  std::int64_t count = 0;
  check_cudnn(cudnnBackendGetAttribute(heuristics.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                       CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
              what);
  std::vector<Descriptor> configs;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < count; ++i) {
    configs.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, what);
    raw.push_back(configs.back().raw());
  }
  std::int64_t returned = 0;
  if (count > 0) {
    check_cudnn(cudnnBackendGetAttribute(heuristics.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                         CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &returned, raw.data()),
                what);
  }
  while (static_cast<std::int64_t>(configs.size()) > returned) configs.pop_back();
  return configs;
}

/// Whether an engine computes as precisely as asked and gives the same bits at every run, by the notes that the
/// library attaches to it. With f32 operands on tensor cores it multiplies in tf32.
bool allowed(const Descriptor& config, bool tensor_cores, const std::string& what) {
  const Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR, what);
  cudnnBackendDescriptor_t raw = engine.raw();
  std::int64_t count = 0;
  check_cudnn(cudnnBackendGetAttribute(config.raw(), CUDNN_ATTR_ENGINECFG_ENGINE,
                                       CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &raw),
              what);
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes{};
  check_cudnn(cudnnBackendGetAttribute(raw, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                       static_cast<std::int64_t>(notes.size()), &count, notes.data()),
              what);
  constexpr cudnnBackendNumericalNote_t refused[] = {
      CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION,
      CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC,
      CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13};  // tiles so large cost digits
  const auto end = notes.begin() + std::min(count, static_cast<std::int64_t>(notes.size()));
  return std::find_first_of(notes.begin(), end, std::begin(refused), std::end(refused)) == end &&
         (tensor_cores || std::find(notes.begin(), end, CUDNN_NUMERICAL_NOTE_TENSOR_CORE) == end);
}

}  // namespace

struct ConvPlan {
  std::shared_ptr<const Graph> graph;  // what the plan was made from lives as long as it
  Descriptor config;
  Descriptor plan;
  ConvForm form;
  std::int64_t workspace_bytes;
  std::string what;
};

namespace {

/// The plan by one of the library's suggestions; null where this chip or shape rules it out.
std::unique_ptr<ConvPlan> make_plan(const Target& target, const std::shared_ptr<const Graph>& graph,
                                    Descriptor& config, const ConvForm& form, const std::string& what) {
  constexpr std::int64_t most_workspace = std::int64_t{1} << 30;
  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, what);
  if (target.handle) {
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, target.handle);
  } else {
    plan.set(kPlanDevice, CUDNN_TYPE_BACKEND_DESCRIPTOR, target.description);
  }
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, config.raw());
  if (!plan.try_finalize()) return nullptr;
  std::int64_t bytes = 0, count = 0;
  check_cudnn(cudnnBackendGetAttribute(plan.raw(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                                       1, &count, &bytes),
              what);
  if (bytes > most_workspace) return nullptr;
  return std::make_unique<ConvPlan>(ConvPlan{graph, std::move(config), std::move(plan), form, bytes, what});
}

/// The best plan in one form but for the first `passed_over` ones, which are counted down; null where there is none.
std::unique_ptr<ConvPlan> choose(const Target& target, ConvPass pass, const ConvGeometry& s,
                                 const ConvTypes& types, const ConvForm& form, const std::string& what,
                                 int& passed_over) {
  const bool tensor_cores = types.images == Dtype::bf16 || types.precision == MatmulPrecision::tf32;
  const auto graph = std::make_shared<const Graph>(make_graph(target, pass, s, types, form, what));
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (Descriptor& config : suggest(target, *graph, mode, what)) {
      if (!allowed(config, tensor_cores, what)) continue;
      auto plan = make_plan(target, graph, config, form, what);
      if (plan && passed_over-- == 0) return plan;
    }
  }
  return nullptr;
}

/// The best plan but for the first `passed_over` ones. Throws Error where there is none in any form, with the library's
/// reason where it gave one.
std::unique_ptr<ConvPlan> choose(const Target& target, ConvPass pass, const ConvGeometry& s,
                                 const ConvTypes& types, int passed_over = 0) {
  const std::string what = describe(pass, s, types);
  std::string reasons;
  for (const ConvForm& form : conv_forms(pass, types)) {
    try {
      if (auto plan = choose(target, pass, s, types, form, what, passed_over)) return plan;
    } catch (const Error& error) {  // a form that this version does not know
      reasons += fmt::format("; {}", error.what());
    }
  }
  throw Error(fmt::format("cuDNN has no plan for {}{}", what, reasons));
}

}  // namespace

void check_convolution(ConvPass pass, const ConvGeometry& s, const ConvTypes& types, const ConvForm& form) {
  make_operation(pass, s, types, form, describe(pass, s, types));
}

ConvForm plan_convolution(const std::string& device, ConvPass pass, const ConvGeometry& s,
                          const ConvTypes& types) {
  Descriptor description(kDeviceDescriptor, "description of a device");
  description.set(kDeviceJson, CUDNN_TYPE_CHAR, static_cast<std::int64_t>(device.size()), device.data())
      .finalize();
  return choose({.description = description.raw()}, pass, s, types)->form;
}

ConvolutionPlans::ConvolutionPlans(CudaMemory& memory) : memory_(memory) {
  check_cudnn(cudnnCreate(&handle_), "cudnnCreate");
  check_cudnn(cudnnSetStream(handle_, memory.stream()), "cudnnSetStream");
}

ConvolutionPlans::~ConvolutionPlans() { cudnnDestroy(handle_); }

ConvForm ConvolutionPlans::form(ConvPass pass, const ConvGeometry& s, const ConvTypes& types) {
  return choice(pass, s, types).plan->form;
}

bool ConvolutionPlans::run(ConvPass pass, const ConvGeometry& s, const ConvTypes& types,
                           const ConvOperands& operands) {
  Choice& choice = this->choice(pass, s, types);
  const ConvPlan& chosen = *choice.plan;
  const CudaBlock workspace(memory_, static_cast<std::size_t>(chosen.workspace_bytes));
  const std::array<std::int64_t, 3> ids{kX, kFilter, kY};
  const std::array<const void*, 3> pointers{operands.x, operands.filter, operands.y};
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, chosen.what);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3, ids.data())
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, pointers.data())
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace.data())
      .finalize();
  const cudnnStatus_t status = cudnnBackendExecute(handle_, chosen.plan.raw(), pack.raw());
  if (status == CUDNN_STATUS_SUCCESS) {
    choice.proven = true;
    return true;
  }
  if (choice.proven || memory_.arenas().in_use()) check_cudnn(status, chosen.what);
  cudaGetLastError();  // the failure is dealt with here
  memory_.trim();      // throws where it was of a kernel before this; the library may have lacked memory
  if (++choice.failures % 2 == 0) {
    try {
      choice.plan = choose({.handle = handle_}, pass, s, types, choice.failures / 2);
    } catch (const Error&) {
      check_cudnn(status, chosen.what);
    }
  }
  return false;
}

ConvolutionPlans::Choice& ConvolutionPlans::choice(ConvPass pass, const ConvGeometry& s,
                                                   const ConvTypes& types) {
  memory_.use_device();
  const Key key{pass,
                types,
                {s.n, s.in_h, s.in_w, s.in_c, s.out_c, s.kernel_h, s.kernel_w, s.stride.h, s.stride.w,
                 s.padding.h, s.padding.w, s.dilation.h, s.dilation.w, s.groups}};
  Choice& found = choices_[key];
  if (!found.plan) found.plan = choose({.handle = handle_}, pass, s, types);
  return found;
}

}  // namespace damc
