#include "tensor/device.h"

#include <charconv>

#include "tensor/error.h"

namespace damc {

std::string Device::str() const {
  return type == DeviceType::cpu ? "cpu" : type == DeviceType::meta ? "meta" : fmt::format("cuda:{}", index);
}

Device parse_device(const std::string& text) {
  if (text == "cpu") return {};
  if (text == "meta") return {DeviceType::meta, 0};
  if (text == "cuda") return {DeviceType::cuda, 0};
  if (text.starts_with("cuda:")) {
    int index = -1;
    const char* end = text.data() + text.size();
    const auto [stop, failure] = std::from_chars(text.data() + 5, end, index);
    if (failure == std::errc{} && stop == end && index >= 0) return {DeviceType::cuda, index};
  }
  user_error(fmt::format("unknown device '{}'", text), "use cpu, cuda or cuda:N");
}

}  // namespace damc
