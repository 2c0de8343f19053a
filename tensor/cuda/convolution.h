/// cuDNN's convolutions through its graph API: one plan per shape, the first of the library's ranking that computes
/// as precisely as asked, gives the same bits at every run, and runs here. Plans are not timed: which is fastest may
/// differ from run to run, and a resumed run must compute what the first one did. Layouts are those of launch.h.
#pragma once

#include <cudnn.h>

#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "tensor/conv_geometry.h"
#include "tensor/cuda/launch.h"
#include "tensor/cuda/memory.h"

namespace damc {

/// Bytes that the address of every operand is a multiple of.
inline constexpr std::int64_t kConvAlignment = 16;

/// Devices by description are of cuDNN 9.8 and later: older headers lack these names, older libraries refuse them.
inline constexpr auto kDeviceDescriptor = static_cast<cudnnBackendDescriptorType_t>(38);
inline constexpr auto kDeviceJson = static_cast<cudnnBackendAttributeName_t>(2702);
inline constexpr auto kHeuristicsDevice = static_cast<cudnnBackendAttributeName_t>(204);
inline constexpr auto kPlanDevice = static_cast<cudnnBackendAttributeName_t>(407);

/// Device pointers of one call: input-sized, filter-sized and output-sized operand, in the form that
/// ConvolutionPlans::form says. One of them is written.
struct ConvOperands {
  const void* x;
  const void* filter;
  const void* y;
};

/// Has the library check the descriptors of a pass, which needs no GPU. Throws Error where it refuses them.
void check_convolution(ConvPass pass, const ConvGeometry& s, const ConvTypes& types, const ConvForm& form);

/// Has the library plan a pass for a device that is only described, by the JSON of its properties as cuDNN 9.8 and
/// later know them; needs no GPU. Returns the form of the operands. Throws Error where the library has no plan.
ConvForm plan_convolution(const std::string& device, ConvPass pass, const ConvGeometry& s,
                          const ConvTypes& types);

struct ConvPlan;

class ConvolutionPlans {
 public:
  /// Queues everything on memory's stream.
  explicit ConvolutionPlans(CudaMemory& memory);
  ~ConvolutionPlans();
  ConvolutionPlans(const ConvolutionPlans&) = delete;
  ConvolutionPlans& operator=(const ConvolutionPlans&) = delete;

  /// What the operands must look like. Throws Error with the shapes where the library has no plan.
  ConvForm form(ConvPass pass, const ConvGeometry& s, const ConvTypes& types);
  /// Runs one pass. False where the library's plan failed to run: ask again for the form, which that of another plan may
  /// be by then, and run again. Throws Error with the shapes and the library's message where there is no other plan, or
  /// where the plan ran before.
  bool run(ConvPass pass, const ConvGeometry& s, const ConvTypes& types, const ConvOperands& operands);

 private:
  using Key = std::tuple<ConvPass, ConvTypes, std::array<std::int64_t, 14>>;

  struct Choice {
    std::unique_ptr<ConvPlan> plan;
    int failures = 0;     // each plan of the library's ranking is tried twice
    bool proven = false;  // it ran
  };

  Choice& choice(ConvPass pass, const ConvGeometry& s, const ConvTypes& types);

  CudaMemory& memory_;
  cudnnHandle_t handle_ = nullptr;
  std::map<Key, Choice> choices_;
};

}  // namespace damc
