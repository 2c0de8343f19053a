/// Convolutions whose taps lie apart or whose channels are grouped, channels last: for each group the plain product over
/// its columns, [pixels of the output, kH, kW, Cin / groups], as conv.h has them without groups.
#pragma once

#include <algorithm>

#include "tensor/conv_geometry.h"
#include "tensor/cpu/gemm.h"
#include "tensor/cpu/parallel.h"
#include "tensor/cpu/pool.h"

namespace damc {

/// The three passes, without bias and activation. Every sum has the same order for any number of threads: a task is an
/// image of a group, of weight gradients a whole group.
template <class T>
class GroupedConv {
 public:
  GroupedConv(const ConvGeometry& s, HostPool& pool)
      : s_(s),
        pool_(pool),
        pixels_(s.out_h * s.out_w),
        in_(s.in_c / s.groups),
        out_(s.out_c / s.groups),
        depth_(s.taps() * in_) {}

  void forward(const T* x, const T* filter, T* out) const {
    for_each_image([&](std::int64_t n, std::int64_t group, T* columns) {
      gather(x, n, group, columns);
      gemm<T>(pixels_, out_, depth_, {columns, depth_}, {weights(filter, group), depth_, true}, T(0),
              output(out, n, group), s_.out_c);
    });
  }

  void grad_x(const T* g, const T* filter, T* out) const {
    for_each_image([&](std::int64_t n, std::int64_t group, T* columns) {
      gemm<T>(pixels_, depth_, out_, {output(g, n, group), s_.out_c}, {weights(filter, group), depth_}, T(0),
              columns, depth_);
      T* image = input(out, n, group);
      for (std::int64_t i = 0; i < s_.in_h * s_.in_w; ++i) std::fill_n(image + i * s_.in_c, in_, T(0));
      for_each_tap([&](std::int64_t pixel, std::int64_t tap) {
        if (pixel < 0) return;
        for (std::int64_t c = 0; c < in_; ++c) image[pixel * s_.in_c + c] += columns[tap * in_ + c];
      });
    });
  }

  void grad_w(const T* g, const T* x, T* out) const {
    share(s_.groups, [&](std::int64_t group) {
      const Scratch<T> columns(pool_, pixels_ * depth_);
      T* weights = out + group * out_ * depth_;
      std::fill_n(weights, out_ * depth_, T(0));
      for (std::int64_t n = 0; n < s_.n; ++n) {
        gather(x, n, group, columns.data());
        gemm<T>(out_, depth_, pixels_, {output(g, n, group), s_.out_c, true}, {columns.data(), depth_}, T(1),
                weights, depth_);
      }
    });
  }

 private:
  /// Tasks on a thread each; where there are fewer, one after the other with the threads inside their products.
  template <class F>
  static void share(std::int64_t count, const F& task) {
    if (count >= omp_get_max_threads()) return parallel_tasks(count, task);
    for (std::int64_t i = 0; i < count; ++i) task(i);
  }

  /// f(image, group, columns) with room for their columns.
  template <class F>
  void for_each_image(const F& f) const {
    share(s_.n * s_.groups, [&](std::int64_t i) {
      const Scratch<T> columns(pool_, pixels_ * depth_);
      f(i / s_.groups, i % s_.groups, columns.data());
    });
  }

  /// f(input pixel or -1 where that is not in the image, row of taps of the columns) for all taps of an image.
  template <class F>
  void for_each_tap(const F& f) const {
    std::int64_t tap = 0;
    for (std::int64_t oh = 0; oh < s_.out_h; ++oh) {
      for (std::int64_t ow = 0; ow < s_.out_w; ++ow) {
        for (std::int64_t kh = 0; kh < s_.kernel_h; ++kh) {
          const std::int64_t ih = oh * s_.stride.h - s_.padding.h + kh * s_.dilation.h;
          for (std::int64_t kw = 0; kw < s_.kernel_w; ++kw) {
            const std::int64_t iw = ow * s_.stride.w - s_.padding.w + kw * s_.dilation.w;
            const bool inside = ih >= 0 && ih < s_.in_h && iw >= 0 && iw < s_.in_w;
            f(inside ? ih * s_.in_w + iw : -1, tap++);
          }
        }
      }
    }
  }

  /// columns = what the output pixels of an image see of a group; beyond the image 0.
  void gather(const T* x, std::int64_t n, std::int64_t group, T* columns) const {
    const T* image = input(x, n, group);
    for_each_tap([&](std::int64_t pixel, std::int64_t tap) {
      if (pixel < 0) {
        std::fill_n(columns + tap * in_, in_, T(0));
      } else {
        std::copy_n(image + pixel * s_.in_c, in_, columns + tap * in_);
      }
    });
  }

  // Where an image's group begins, its pixels in_c or out_c apart; where a group's filters do.
  template <class U>
  U* input(U* x, std::int64_t n, std::int64_t group) const {
    return x + n * s_.in_h * s_.in_w * s_.in_c + group * in_;
  }
  template <class U>
  U* output(U* y, std::int64_t n, std::int64_t group) const {
    return y + n * pixels_ * s_.out_c + group * out_;
  }
  const T* weights(const T* filter, std::int64_t group) const { return filter + group * out_ * depth_; }

  ConvGeometry s_;
  HostPool& pool_;
  std::int64_t pixels_, in_, out_,
      depth_;  // pixels of an output image, channels of a group, numbers of a filter
};

}  // namespace damc
