/// A model of several GPUs that share every batch: what they cannot be faster than together, from the floors of a share
/// (floors.h) and from what they send each other, which is counted by running the program's own code as one of them.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "tools/bench/floors.h"

namespace damc {

/// What joins devices.
struct Link {
  const char* title;
  double bandwidth;  ///< of a device in each direction, GB/s, by its data sheet
  double latency;    ///< s, of a step of a sum over all devices; assumed
};
const std::vector<Link>& links();

/// Seconds in which `devices` sum up messages of so many bytes altogether, by rings: each message goes around twice in as
/// many slices as there are devices.
double seconds_of_sums(const Link& link, std::int64_t devices, double bytes, std::int64_t messages);

/// An iteration of one of several devices.
struct SharedIteration {
  std::int64_t devices, images;
  double chains, updates;  ///< s, floors of what sends nothing, and of what sends gradients
  double bytes;            ///< that are summed
  std::int64_t messages;

  /// With updates done before the sums begin; and beside them, as far as they can be.
  double seconds(const Link& link) const;
  double overlapped(const Link& link) const;
};

/// Of a batch of config.batch images on 1, 2, 4, ... devices, as long as each has four images or more. With steps that are
/// recorded.
std::vector<SharedIteration> count_shared(const Config& config, const Gpu& gpu, const std::string& precision);

/// How many times as fast as one device, by link, and up to how many devices that is at least half their number.
void print_scaling(const Config& config, const Gpu& gpu, const std::string& precision, std::FILE* to);

}  // namespace damc
