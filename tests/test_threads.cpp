/// Threads of the CPU: the same bits for any number of them, the quota of control groups, memory that cannot be mapped.
#include <doctest/doctest.h>
#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>
#include <vector>

#include "tensor/cpu/threads.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/processors.h"
#include "tests/naive.h"

using namespace damc;

namespace {

namespace fs = std::filesystem;

/// f() with that many threads.
std::vector<Tensor> with_threads(int count, const std::function<std::vector<Tensor>()>& f) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(count);
  const std::vector<Tensor> out = f();
  omp_set_num_threads(before);
  return out;
}

void check_same_bits(const std::function<std::vector<Tensor>()>& f) {
  backend({});  // its threads are started
  const std::vector<Tensor> one = with_threads(1, f);
  for (const int threads : {2, 3, 8}) {
    CAPTURE(threads);
    const std::vector<Tensor> many = with_threads(threads, f);
    for (std::size_t i = 0; i < one.size(); ++i) CHECK(elements(many[i]) == elements(one[i]));
  }
}

/// A made-up root with the files of control groups.
class Root {
 public:
  Root()
      : path(fs::temp_directory_path() /
             fs::path(fmt::format("damc-groups-{}-{}", ::getpid(), static_cast<const void*>(this)))) {}
  ~Root() { fs::remove_all(path); }
  void write(const std::string& file, const std::string& text) const {
    fs::create_directories((path / file).parent_path());
    std::ofstream(path / file) << text;
  }
  const fs::path path;
};

}  // namespace

TEST_CASE("products have the same bits for any number of threads") {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const Shape& size : {Shape{1000, 777, 333}, Shape{33, 1000, 700}, Shape{700, 1000, 33},
                              Shape{128, 128, 128}, Shape{5, 3000, 600}, Shape{200, 2048, 256}}) {
      CAPTURE(size.str());
      const Tensor a = normal({size[0], size[1]}, dtype), b = normal({size[1], size[2]}, dtype);
      const Tensor g = normal({size[0], size[2]}, dtype);
      check_same_bits([&] {
        return std::vector<Tensor>{matmul(a, b), matmul(g, b.transpose(0, 1)), matmul(a.transpose(0, 1), g),
                                   linear(a, b.transpose(0, 1), {})};
      });
    }
  }
}

TEST_CASE("convolutions have the same bits for any number of threads") {
  struct Sizes {
    std::int64_t n, size, in, out, kernel, stride, padding, dilation = 1, groups = 1;
  };
  // By columns, as one product, by Winograd's filtering with few and with many columns, and by groups, of which there are
  // more or fewer than threads.
  for (const Sizes& c :
       {Sizes{9, 16, 24, 40, 3, 1, 1}, Sizes{33, 8, 16, 300, 3, 1, 1}, Sizes{64, 4, 96, 8, 4, 1, 0},
        Sizes{5, 16, 32, 64, 4, 2, 1}, Sizes{2, 8, 160, 32, 4, 2, 1}, Sizes{1, 24, 48, 96, 3, 1, 2, 2},
        Sizes{5, 12, 24, 48, 3, 1, 1, 1, 12}}) {
    const ConvGeometry s =
        conv_geometry({c.n, c.size, c.size, c.in}, {c.out, c.kernel, c.kernel, c.in / c.groups},
                      {c.stride, c.padding, c.dilation, c.groups});
    const Tensor x = normal(s.in_shape()), w = normal(s.filter_shape()), g = normal(s.out_shape());
    check_same_bits([&] {
      return std::vector<Tensor>{conv2d_forward(s, x, w), conv2d_grad_x(s, g, w), conv2d_grad_w(s, g, x)};
    });
  }
}

TEST_CASE("the quota of control groups, of both versions, is the least on the way to the top, rounded up") {
  const Root root;
  CHECK(cpu_quota(root.path) == 0);
  root.write("proc/self/cgroup", "0::/a/b\n");
  CHECK(cpu_quota(root.path) == 0);
  root.write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  CHECK(cpu_quota(root.path) == 0);
  root.write("sys/fs/cgroup/a/cpu.max", "250000 100000\n");
  CHECK(cpu_quota(root.path) == 3);
  root.write("sys/fs/cgroup/cpu.max", "200000 100000\n");  // a container's, whose path is the host's
  CHECK(cpu_quota(root.path) == 2);

  const Root first;
  first.write("proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/x\n1:name=systemd:/x\nno group\n");
  first.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  first.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  first.write("sys/fs/cgroup/memory/x/cpu.max", "100000 100000\n");
  CHECK(cpu_quota(first.path) == 0);
  first.write("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "50000\n");
  first.write("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
  CHECK(cpu_quota(first.path) == 1);
}

TEST_CASE("memory that cannot be mapped is known before") {
  CHECK(can_map(3, std::size_t{1} << 20));
  CHECK_FALSE(can_map(1, std::size_t{1} << 60));
  CHECK(can_map(0, std::size_t{1} << 60));
  CHECK(can_map(1, 0));
}

// Run once more by CTest with OpenMP's threads bound.
TEST_CASE("a thread that a bound one has started may use every processor again") {
#pragma omp parallel  // the first binds
  {}
  cpu_set_t inherited, restored;
  std::thread([&] {
    sched_getaffinity(0, sizeof inherited, &inherited);
    const OnEveryProcessor anywhere;
    sched_getaffinity(0, sizeof restored, &restored);
  }).join();
  cpu_set_t before, after;
  sched_getaffinity(0, sizeof before, &before);
  { const OnEveryProcessor anywhere; }
  sched_getaffinity(0, sizeof after, &after);
  CHECK(CPU_EQUAL(&before, &after));
  int in_places = 0;  // none where OpenMP binds nothing, or all in one
  for (int place = 0; place < omp_get_num_places(); ++place) in_places += omp_get_place_num_procs(place);
  if (std::getenv("OMP_PROC_BIND")) CHECK(CPU_COUNT(&inherited) == 1);
  CHECK(CPU_COUNT(&restored) == (in_places > 0 ? in_places : CPU_COUNT(&inherited)));
}
