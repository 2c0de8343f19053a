#include "damc/metrics/reference.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <map>
#include <vector>

#include "damc/batched.h"
#include "damc/metrics/digest.h"
#include "tensor/error.h"
#include "tensor/io/npz.h"
#include "tensor/io/safetensors.h"
#include "tensor/text.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

std::string quoted(const fs::path& path) { return fmt::format("'{}'", escaped(path.native())); }

std::string text_of(const std::map<std::string, std::string>& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : found->second;
}

std::int64_t number_of(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

bool is_finite(const Tensor& t) {
  const std::vector<double> values = t.to_vector<double>();
  return std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); });
}

/// Whether a file begins as zip archives do.
bool is_zip(const fs::path& path) {
  char head[2] = {};
  std::ifstream(path, std::ios::binary).read(head, 2);
  return head[0] == 'P' && head[1] == 'K';
}

/// Throws UserError unless shapes, types and numbers are those of statistics.
void check_statistics(const Statistics& s, const fs::path& path) {
  const auto refuse = [&](const std::string& what) {
    user_error(fmt::format("{} holds no reference statistics: {}", quoted(path), what),
               "they are arrays mu [d] and sigma [d, d] of f64");
  };
  if (!s.mean.defined() || !s.covariance.defined()) refuse("mu or sigma is missing");
  if (s.mean.dtype() != Dtype::f64 || s.covariance.dtype() != Dtype::f64) refuse("mu or sigma is not f64");
  const std::int64_t d = s.mean.ndim() == 1 ? s.mean.size(0) : 0;
  if (d == 0 || s.covariance.shape() != Shape{d, d}) {
    refuse(fmt::format("mu is {} and sigma {}", s.mean.shape().str(), s.covariance.shape().str()));
  }
  if (s.features.defined() && s.features.shape() != Shape{s.n, d}) {
    refuse(fmt::format("features are {} of {} images", s.features.shape().str(), s.n));
  }
  if (!is_finite(s.mean) || !is_finite(s.covariance)) refuse("a number is not finite");
}

}  // namespace

Statistics feature_statistics(const FeatureSpace& space, const Images& images, std::int64_t count,
                              const ImagesDone& progress) {
  constexpr std::int64_t batch = 64;
  StatisticsStream stream(true);
  for (std::int64_t first = 0; first < count; first += batch) {
    const std::int64_t n = std::min(batch, count - first);
    stream.add(space.features(to_tensor(images, first, n, Device{})));
    if (progress) progress(first + n);
  }
  return stream.finish();
}

void write_reference(const fs::path& path, const Reference& reference) {
  const Statistics& s = reference.statistics;
  std::map<std::string, Tensor> tensors{{"mu", s.mean}, {"sigma", s.covariance}};
  if (s.features.defined()) tensors["features"] = s.features;
  write_safetensors(path, tensors,
                    {{"n", fmt::format("{}", s.n)},
                     {"mode", reference.mode},
                     {"network_sha256", reference.network},
                     {"data", reference.data}});
}

Reference read_reference(const fs::path& path) {
  if (is_zip(path)) {
    const NpzFile file(path);
    const Reference found{{0, file.read("mu"), file.read("sigma"), {}}, "", "", ""};
    check_statistics(found.statistics, path);
    return found;
  }
  Weights file = read_safetensors(path);
  Reference found;
  found.statistics = {std::max<std::int64_t>(number_of(text_of(file.metadata, "n")), 0), file.tensors["mu"],
                      file.tensors["sigma"], file.tensors["features"]};
  found.mode = text_of(file.metadata, "mode");
  found.network = text_of(file.metadata, "network_sha256");
  found.data = text_of(file.metadata, "data");
  check_statistics(found.statistics, path);
  return found;
}

void check_space(const Reference& reference, const FeatureSpace& space, const fs::path& file) {
  if (!reference.mode.empty() && reference.mode != space.mode) {
    user_error(
        fmt::format("{} was measured in the mode {}, not {}", quoted(file), reference.mode, space.mode),
        "two modes' numbers do not compare");
  }
  if (!reference.network.empty() && reference.network != space.network) {
    user_error(fmt::format("{} was measured with other weights (sha256 {:.8}, these are {:.8})", quoted(file),
                           reference.network, space.network),
               "measure the reference again with these");
  }
  if (const std::int64_t found = reference.statistics.mean.numel(); found != space.count) {
    user_error(fmt::format("{} is of {} features, those of the mode {} are {}", quoted(file), found,
                           space.mode, space.count));
  }
}

Reference cached_reference(const FeatureSpace& space, const Images& images, std::int64_t count,
                           const std::string& data, const fs::path& folder, const ImagesDone& progress) {
  const std::string pixels = sha256(images, count);
  const std::string about = fmt::format("{}, sha256 {}", data, pixels);
  const std::string key = sha256(space.mode + " " + space.network + " " + pixels);
  const fs::path file = folder / fmt::format("reference-{:.16}.safetensors", key);
  std::error_code ignored;
  if (!folder.empty() && fs::exists(file, ignored)) {
    try {
      Reference found = read_reference(file);
      if (found.mode == space.mode && found.network == space.network && found.data.ends_with(pixels))
        return found;
    } catch (const UserError&) {  // damaged: measured again
    }
  }
  Reference measured{feature_statistics(space, images, count, progress), space.mode, space.network, about};
  if (folder.empty()) return measured;
  fs::create_directories(folder, ignored);
  try {
    write_reference(file, measured);
  } catch (const Error&) {  // a cache that cannot be written costs time, no result
  }
  return measured;
}

}  // namespace damc
