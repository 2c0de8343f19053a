#include "tensor/print.h"

#include <span>
#include <vector>

#include "tensor/error.h"

namespace damc {
namespace {

constexpr std::int64_t kShown = 3;        // at either end of a long dimension
constexpr std::int64_t kMostWhole = 100;  // elements of a tensor that is shown in full

/// The elements on the host, and how each is written; counters without decimals.
class Numbers {
 public:
  explicit Numbers(const Tensor& t) {
    if (t.dtype() == Dtype::i64) {
      counters_ = t.to_vector<std::int64_t>();
    } else {
      values_ = t.to_vector<double>();
    }
  }
  std::string operator[](std::int64_t i) const {
    const auto at = static_cast<std::size_t>(i);
    return counters_.empty() ? word(values_[at]) : fmt::format("{}", counters_[at]);
  }

 private:
  static std::string word(double x) {
    const double size = x < 0 ? -x : x;
    return size != 0.0 && (size < 1e-3 || size >= 1e5) ? fmt::format("{:.4e}", x) : fmt::format("{:.4f}", x);
  }

  std::vector<std::int64_t> counters_;
  std::vector<double> values_;
};

/// Appends the part of these sizes that begins at element `first`, `depth` brackets deep; rows of matrices stand below
/// each other.
void append(std::string& text, const Numbers& numbers, std::span<const std::int64_t> sizes, std::size_t depth,
            std::int64_t first, bool all) {
  if (sizes.empty()) {
    text += numbers[first];
    return;
  }
  const auto within = sizes.subspan(1);
  std::int64_t stride = 1;
  for (const std::int64_t size : within) stride *= size;
  const std::string between = within.empty() ? ", " : ",\n" + std::string(depth + 1, ' ');
  text += '[';
  for (std::int64_t i = 0; i < sizes[0]; ++i) {
    if (i > 0) text += between;
    if (!all && i == kShown && sizes[0] > 2 * kShown) {
      text += "..." + between;
      i = sizes[0] - kShown;
    }
    append(text, numbers, within, depth + 1, first + i * stride, all);
  }
  text += ']';
}

}  // namespace

std::string to_string(const Tensor& t) {
  if (!t.defined()) return "undefined tensor";
  std::string text;
  append(text, Numbers(t), {t.shape().begin(), t.shape().end()}, 0, 0, t.numel() <= kMostWhole);
  return text + fmt::format(" {} {}{}", t.shape().str(), name(t.dtype()),
                            t.device() == Device{} ? "" : " on " + t.device().str());
}

double at(const Tensor& t, const Shape& index) {
  ENSURE(index.ndim() == t.ndim(), "at: index {} of shape {}", index.str(), t.shape().str());
  Tensor element = t;
  for (int d = 0; d < t.ndim(); ++d) {
    const std::int64_t size = t.size(d), i = index[d] < 0 ? index[d] + size : index[d];
    ENSURE(i >= 0 && i < size, "at: index {} of shape {}", index.str(), t.shape().str());
    element = element.narrow(d, i, 1);
  }
  return element.item();
}

}  // namespace damc
