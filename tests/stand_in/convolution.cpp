#include "tests/stand_in/convolution.h"

#include <vector>

namespace stand_in {
namespace {

/// An array in a dense order of its dimensions, the last of them innermost.
template <class Number>
class Dense {
 public:
  Dense(const Array& array, const std::array<std::size_t, 4>& order)
      : array_(array), order_(order), numbers_(count()) {}

  void read(Rounding rounding) {
    each([&](Number& number, std::int64_t at) {
      number = rounded(load<Number>(array_.data, array_.type, at), rounding);
    });
  }
  /// array = alpha this + beta array.
  void write(double alpha, double beta) {
    each([&](Number& number, std::int64_t at) {
      Number out = static_cast<Number>(alpha) * number;
      if (beta != 0.0) out += static_cast<Number>(beta) * load<Number>(array_.data, array_.type, at);
      store(array_.data, array_.type, at, out);
    });
  }
  /// The innermost dimension at (i, j, k) of the others.
  Number* row(std::int64_t i, std::int64_t j, std::int64_t k) {
    const std::int64_t before = (i * size(1) + j) * size(2) + k;
    return numbers_.data() + before * size(3);
  }
  std::int64_t size(std::size_t d) const { return array_.dims[order_[d]]; }

 private:
  std::size_t count() const {
    return static_cast<std::size_t>(array_.dims[0] * array_.dims[1] * array_.dims[2] * array_.dims[3]);
  }
  template <class F>
  void each(const F& f) {
    const auto stride = [&](std::size_t d) { return array_.strides[order_[d]]; };
    Number* next = numbers_.data();
    for (std::int64_t i = 0; i < size(0); ++i)
      for (std::int64_t j = 0; j < size(1); ++j)
        for (std::int64_t k = 0; k < size(2); ++k)
          for (std::int64_t l = 0; l < size(3); ++l)
            f(*next++, i * stride(0) + j * stride(1) + k * stride(2) + l * stride(3));
  }

  const Array& array_;
  std::array<std::size_t, 4> order_;
  std::vector<Number> numbers_;
};

/// f(n, h, w, p, q, r, s) for every output pixel (n, p, q) and element (r, s) of the filter that lies over a pixel (h, w)
/// of the input.
template <class F>
void for_each_tap(const Convolution& c, const F& f) {
  for (std::int64_t n = 0; n < c.x.dims[0]; ++n)
    for (std::int64_t p = 0; p < c.y.dims[2]; ++p)
      for (std::int64_t q = 0; q < c.y.dims[3]; ++q)
        for (std::int64_t v = 0; v < c.w.dims[2]; ++v)
          for (std::int64_t u = 0; u < c.w.dims[3]; ++u) {
            const std::int64_t h = p * c.stride[0] - c.padding[0] + v * c.dilation[0];
            const std::int64_t w = q * c.stride[1] - c.padding[1] + u * c.dilation[1];
            if (h < 0 || h >= c.x.dims[2] || w < 0 || w >= c.x.dims[3]) continue;
            f(n, h, w, p, q, c.flipped ? c.w.dims[2] - 1 - v : v, c.flipped ? c.w.dims[3] - 1 - u : u);
          }
}

/// out += rows of `matrix`, each `columns` long and `stride` apart, times the factors.
template <class Number>
void add_rows(Number* out, const Number* factors, std::int64_t rows, const Number* matrix,
              std::int64_t columns, std::int64_t stride) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const Number factor = factors[i];
    const Number* row = matrix + i * stride;
    for (std::int64_t j = 0; j < columns; ++j) out[j] += factor * row[j];
  }
}

template <class Number>
void convolve_in(const Convolution& c) {
  constexpr std::array<std::size_t, 4> channels_last{0, 2, 3, 1}, in_to_out{2, 3, 1, 0},
      out_to_in{2, 3, 0, 1};
  const std::int64_t all = c.w.dims[0], groups = c.x.dims[1] / c.w.dims[1];
  const std::int64_t channels = c.w.dims[1], filters = all / groups;  // of a group
  Dense<Number> x(c.x, channels_last), y(c.y, channels_last),
      w(c.w, c.pass == Pass::data ? out_to_in : in_to_out);
  if (c.pass != Pass::data) x.read(c.rounding);
  if (c.pass != Pass::filter) w.read(c.rounding);
  if (c.pass != Pass::forward) y.read(c.rounding);
  for_each_tap(c, [&](auto n, auto h, auto v, auto p, auto q, auto r, auto s) {
    for (std::int64_t group = 0; group < groups; ++group) {
      Number *in = x.row(n, h, v) + group * channels, *out = y.row(n, p, q) + group * filters;
      if (c.pass == Pass::forward)
        add_rows(out, in, channels, w.row(r, s, 0) + group * filters, filters, all);
      if (c.pass == Pass::data) add_rows(in, out, filters, w.row(r, s, group * filters), channels, channels);
      if (c.pass == Pass::filter) {
        for (std::int64_t i = 0; i < channels; ++i)
          add_rows(w.row(r, s, i) + group * filters, in + i, 1, out, filters, filters);
      }
    }
  });
  (c.pass == Pass::forward ? y : c.pass == Pass::data ? x : w).write(c.alpha, c.beta);
}

}  // namespace

void convolve(const Convolution& convolution) {
  if (convolution.f64) {
    convolve_in<double>(convolution);
  } else {
    convolve_in<float>(convolution);
  }
}

}  // namespace stand_in
