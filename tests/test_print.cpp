/// Tensors, shapes and graphs as text.
#include <doctest/doctest.h>

#include <sstream>

#include "autograd/graph.h"
#include "autograd/ops.h"
#include "tensor/error.h"
#include "tests/messages.h"

using namespace damc;

TEST_CASE("tensors in brackets, with shape and type") {
  const Tensor t = Tensor::from(std::vector<float>{1, 2.5f, -3, 4e-5f, 0, 1e7f}, {2, 3});
  const std::string text = "[[1.0000, 2.5000, -3.0000],\n [4.0000e-05, 0.0000, 1.0000e+07]] [2, 3] f32";
  CHECK(fmt::format("{}", t) == text);
  std::ostringstream stream;
  stream << t << ' ' << t.shape();
  CHECK(stream.str() == text + " [2, 3]");
  CHECK(fmt::format("{}", t.shape()) == "[2, 3]");
  CHECK(fmt::format("{}", t.transpose(0, 1).narrow(0, 0, 1)) == "[[1.0000, 4.0000e-05]] [1, 2] f32");
  CHECK(fmt::format("{}", Tensor::full({}, 2.0, Dtype::f64)) == "2.0000 [] f64");
  CHECK(fmt::format("{}", Tensor::zeros({0, 2})) == "[] [0, 2] f32");
  CHECK(fmt::format("{}", Tensor()) == "undefined tensor");
  CHECK(fmt::format("{}", Tensor::from(std::vector<std::int64_t>{3, -4}, {2})) == "[3, -4] [2] i64");
}

TEST_CASE("long dimensions are cut") {
  CHECK(fmt::format("{}", arange(200)) ==
        "[0.0000, 1.0000, 2.0000, ..., 197.0000, 198.0000, 199.0000] [200] f32");
  CHECK(contains(fmt::format("{}", Tensor::zeros({60, 2})), "[0.0000, 0.0000],\n ...,\n [0.0000"));
  CHECK(fmt::format("{}", arange(100)).find("...") == std::string::npos);
}

TEST_CASE("one number") {
  const Tensor t = arange(6, Dtype::f64).reshape({2, 3});
  CHECK(at(t, {1, 2}) == 5.0);
  CHECK(at(t, {-1, 0}) == 3.0);
  CHECK(contains(error_of([&] { at(t, {0, 3}); }), "at: index [0, 3] of shape [2, 3]"));
  CHECK(contains(error_of([&] { at(t, {0}); }), "at: index [0] of shape [2, 3]"));
}

TEST_CASE("a graph for Graphviz") {
  const Variable x(Tensor::full({}, 2.0), true), w(Tensor::full({}, 3.0), true);
  const Variable y = exp(x * w) + x;
  CHECK(to_dot(y) ==
        "digraph {\n"
        "  n0 [label=\"leaf\", shape=ellipse]\n"
        "  n1 [label=\"leaf\", shape=ellipse]\n"
        "  n2 [label=\"mul\", shape=box]\n  n0 -> n2\n  n1 -> n2\n"
        "  n3 [label=\"exp\", shape=box]\n  n2 -> n3\n"
        "  n4 [label=\"add\", shape=box]\n  n3 -> n4\n  n0 -> n4\n"
        "}\n");
  CHECK(to_dot(y.detach()) == "digraph {\n}\n");
  CHECK(fmt::format("{}", x * w) == "6.0000 [] f32, from mul");
  CHECK(fmt::format("{}", y.detach()).find("from") == std::string::npos);
}
