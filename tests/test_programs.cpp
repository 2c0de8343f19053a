/// Random programs of operations against PyTorch: golden/programs.txt, whose format golden/programs.py states. Values and
/// gradients in f64 agree to 1e-9, and every operation of the table is in some program. DAMC_PROGRAMS names a file of other programs.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "autograd/checks/op_cases.h"
#include "autograd/grad.h"
#include "autograd/ops.h"
#include "tests/golden.h"

using namespace damc;

namespace {

/// Operands and numbers of one line.
struct Step {
  Variables v;
  std::vector<double> n;

  int dim(std::size_t i) const { return static_cast<int>(n.at(i)); }
  std::int64_t whole(std::size_t i) const { return static_cast<std::int64_t>(n.at(i)); }
  Pair pair(std::size_t i) const { return {whole(i), whole(i + 1)}; }
  Shape shape(std::size_t first = 0) const {
    Shape sizes;
    for (std::size_t i = first; i < n.size(); ++i) sizes.push_back(whole(i));
    return sizes;
  }
  std::vector<int> dims(std::size_t first) const {
    std::vector<int> all;
    for (std::size_t i = first; i < n.size(); ++i) all.push_back(dim(i));
    return all;
  }
  Tensor index(const Shape& sizes, std::size_t first = 0) const {
    return Tensor::from(std::vector<double>(n.begin() + static_cast<std::ptrdiff_t>(first), n.end()), sizes);
  }
  Tensor index(std::size_t first = 0) const {
    return index({static_cast<std::int64_t>(n.size() - first)}, first);
  }
  Variable bias() const { return v.size() > 2 ? v[2] : Variable(); }
  Unary activation() const {
    const Unary all[] = {{}, {UnaryOp::leaky_relu, 0.2}, {UnaryOp::tanh}};
    return all[dim(0)];
  }
  ConvOptions moves() const { return {pair(1), pair(3), pair(5), whole(7)}; }
  ProductOptions product() const { return {.activation = activation()}; }
  PoolOptions windows() const {
    return {.kernel = pair(0), .stride = pair(2), .padding = pair(4), .count_include_pad = n.at(6) != 0.0};
  }
  Tensor positive(std::size_t i) const { return greater(v[i].value(), 0.0); }
};

using Operation = std::function<Variable(const Step&)>;

Variable gather_along(const Step& s) {
  Shape sizes = s.v[0].shape();
  const int ndim = sizes.ndim();
  sizes[s.dim(0) < 0 ? s.dim(0) + ndim : s.dim(0)] = s.whole(1);
  return gather(s.v[0], s.dim(0), s.index(sizes, 2));
}

void add_pointwise(std::map<std::string, Operation>& all) {
#define UNARY(f) all[#f] = [](const Step& s) { return f(s.v[0]); }
#define BINARY(f) all[#f] = [](const Step& s) { return f(s.v[0], s.v[1]); }
  UNARY(exp);
  UNARY(log);
  UNARY(sqrt);
  UNARY(square);
  UNARY(reciprocal);
  UNARY(sin);
  UNARY(cos);
  UNARY(atan);
  UNARY(erf);
  UNARY(tanh);
  UNARY(sigmoid);
  UNARY(softplus);
  UNARY(silu);
  UNARY(gelu);
  UNARY(abs);
  BINARY(add);
  BINARY(sub);
  BINARY(mul);
  BINARY(div);
  BINARY(maximum);
  BINARY(minimum);
  BINARY(matmul);
  BINARY(fourier_features);
#undef UNARY
#undef BINARY
  all["pow"] = [](const Step& s) { return pow(s.v[0], s.n.at(0)); };
  all["leaky_relu"] = [](const Step& s) { return leaky_relu(s.v[0], s.n.at(0)); };
  all["affine"] = [](const Step& s) { return affine(s.v[0], s.n.at(0), s.n.at(1)); };
  all["clamp"] = [](const Step& s) { return clamp(s.v[0], s.n.at(0), s.n.at(1)); };
  all["greater"] = [](const Step& s) { return greater(s.v[0], s.n.at(0)); };
  all["gt"] = [](const Step& s) { return Variable(gt(s.v[0].value(), s.v[1].value())); };
  all["where"] = [](const Step& s) { return where(s.positive(0), s.v[1], s.v[2]); };
  all["masked"] = [](const Step& s) { return masked(s.v[0], s.positive(1)); };
}

void add_shapes(std::map<std::string, Operation>& all) {
  all["sum"] = [](const Step& s) { return sum(s.v[0], s.dims(1), s.n.at(0) != 0.0); };
  all["mean"] = [](const Step& s) { return mean(s.v[0], s.dims(1), s.n.at(0) != 0.0); };
  all["max"] = [](const Step& s) { return max(s.v[0], s.dim(1), s.n.at(0) != 0.0); };
  all["softmax"] = [](const Step& s) { return softmax(s.v[0], s.dim(0)); };
  all["log_softmax"] = [](const Step& s) { return log_softmax(s.v[0], s.dim(0)); };
  all["reshape"] = [](const Step& s) { return reshape(s.v[0], s.shape()); };
  all["flatten"] = [](const Step& s) { return flatten(s.v[0], s.dim(0)); };
  all["permute"] = [](const Step& s) { return permute(s.v[0], s.shape()); };
  all["transpose"] = [](const Step& s) { return transpose(s.v[0], s.dim(0), s.dim(1)); };
  all["expand"] = [](const Step& s) { return expand(s.v[0], s.shape()); };
  all["narrow"] = [](const Step& s) { return narrow(s.v[0], s.dim(0), s.whole(1), s.whole(2)); };
  all["pad"] = [](const Step& s) { return pad(s.v[0], s.dim(0), s.whole(1), s.whole(2)); };
  all["select"] = [](const Step& s) { return select(s.v[0], s.dim(0), s.whole(1)); };
  all["cat"] = [](const Step& s) { return cat(s.v, s.dim(0)); };
  all["index_select"] = [](const Step& s) { return index_select(s.v[0], s.dim(0), s.index(1)); };
  all["gather"] = gather_along;
}

void add_networks(std::map<std::string, Operation>& all) {
  all["linear"] = [](const Step& s) { return linear(s.v[0], s.v[1], s.bias(), s.product()); };
  all["conv2d"] = [](const Step& s) { return conv2d(s.v[0], s.v[1], s.bias(), s.moves(), s.product()); };
  all["conv_transpose2d"] = [](const Step& s) {
    return conv_transpose2d(s.v[0], s.v[1], s.bias(), s.moves(), s.product());
  };
  all["max_pool2d"] = [](const Step& s) { return max_pool2d(s.v[0], s.windows()); };
  all["avg_pool2d"] = [](const Step& s) { return avg_pool2d(s.v[0], s.windows()); };
  all["upsample"] = [](const Step& s) { return upsample(s.v[0], s.pair(0)); };
  all["instance_norm"] = [](const Step& s) {
    return instance_norm(s.v[0], s.v[1], s.v[2], s.n.at(1), s.activation());
  };
  all["adaptive_instance_norm"] = [](const Step& s) {
    return adaptive_instance_norm(s.v[0], s.v[1], s.v[2], s.n.at(0));
  };
  all["batch_norm"] = [](const Step& s) {
    return batch_norm(s.v[0], s.v[1], s.v[2], s.n.at(1), s.activation());
  };
  all["layer_norm"] = [](const Step& s) { return layer_norm(s.v[0], s.v[1], s.v[2], s.n.at(1)); };
  all["embedding"] = [](const Step& s) { return embedding(s.index(), s.v[0]); };
  all["cross_entropy"] = [](const Step& s) { return cross_entropy(s.v[0], s.index()); };
}

const std::map<std::string, Operation>& operations() {
  static const auto all = [] {
    std::map<std::string, Operation> table;
    add_pointwise(table);
    add_shapes(table);
    add_networks(table);
    return table;
  }();
  return all;
}

/// The formula of a name, seen as a view of some kind.
Tensor leaf(const std::string& name, Shape shape, const std::string& layout) {
  const auto numbers = [&](const Shape& s) { return golden_formula(name, s, 1.5).to(Dtype::f64); };
  if (layout == "dense") return numbers(shape);
  if (layout == "repeated") {
    Shape one = shape;
    one[one.ndim() - 1] = std::min<std::int64_t>(1, shape.back());
    return numbers(one).expand(shape);
  }
  if (layout == "reversed") {
    Shape order;
    for (int d = shape.ndim() - 1; d >= 0; --d) order.push_back(d);
    return numbers(shape).permute(order).contiguous().permute(order);
  }
  REQUIRE(layout == "part");
  if (shape.ndim() == 0) return numbers({}).expand({3}).contiguous().narrow(0, 1, 1).reshape({});
  Shape more = shape;
  more[more.ndim() - 1] += 3;
  const Tensor whole = Tensor::full(more, std::nan(""), Dtype::f64);
  const Tensor part = whole.narrow(shape.ndim() - 1, 2, shape.back());
  part.copy_from(numbers(shape));
  return part;
}

/// A program as it is read, and what its lines say of it.
class Program {
 public:
  explicit Program(const std::string& number) : prefix_("program." + number + ".") {}

  void add_leaf(std::istringstream& line) {
    Shape shape;
    std::string word;
    while (line >> word && word != "|") shape.push_back(std::stoll(word));
    REQUIRE(static_cast<bool>(line >> word));
    values_.emplace_back(leaf(prefix_ + std::to_string(values_.size()), shape, word), true);
    leaves_.push_back(values_.back());
  }
  void add_step(const std::string& name, std::istringstream& line) {
    REQUIRE_MESSAGE(operations().count(name) == 1, name);
    Step step;
    std::string word;
    while (line >> word && word != "|") step.v.push_back(values_.at(std::stoul(word)));
    while (line >> word) step.n.push_back(std::stod(word));
    values_.push_back(operations().at(name)(step));
  }
  void check_result(std::istringstream& line) {
    std::size_t k = 0;
    line >> k;
    const Variable& y = values_.at(k);
    const Tensor c = check("result", k, y.value(), line);
    const Variable part = sum(y * Variable(c));
    total_ = total_.defined() ? total_ + part : part;
  }
  void check_gradient(std::istringstream& line) {
    if (gradients_.empty()) gradients_ = grad(total_, leaves_);
    std::size_t k = 0;
    line >> k;
    check("grad", k, gradients_.at(checked_++), line);
  }

 private:
  /// Compares the projection and the norm; returns what x is projected on.
  Tensor check(const std::string& what, std::size_t k, const Tensor& x, std::istringstream& line) const {
    const std::string name = prefix_ + what + "." + std::to_string(k);
    double projection = 0.0, norm = 0.0;
    REQUIRE(static_cast<bool>(line >> projection >> norm));
    const Tensor c = golden_formula(name, x.shape()).to(Dtype::f64);
    const double tolerance = 1e-9 * std::max(1.0, norm);
    CHECK_MESSAGE(std::fabs(sum(x * c).item() - projection) <= tolerance, name);
    CHECK_MESSAGE(std::fabs(std::sqrt(sum_squares(x).item()) - norm) <= tolerance, name);
    return c;
  }

  std::string prefix_;
  Variables values_, leaves_;
  Variable total_;
  std::vector<Tensor> gradients_;
  std::size_t checked_ = 0;
};

}  // namespace

TEST_CASE("random programs agree with PyTorch") {
  const char* other = std::getenv("DAMC_PROGRAMS");
  std::ifstream file(other ? other : std::string(DAMC_SOURCE_DIR) + "/tests/golden/programs.txt");
  REQUIRE(file.good());
  std::optional<Program> program;
  std::map<std::string, int> lines;
  for (std::string text; std::getline(file, text);) {
    std::istringstream line(text);
    std::string word, number;
    line >> word;
    ++lines[word];
    INFO(text);
    if (word == "program") {
      line >> number;
      program.emplace(number);
    } else if (word == "leaf") {
      program->add_leaf(line);
    } else if (word == "result") {
      program->check_result(line);
    } else if (word == "grad") {
      program->check_gradient(line);
    } else {
      program->add_step(word, line);
    }
  }
  CHECK(lines["program"] >= 250);

  // In no program: what is random, what has nothing to compare, and a comparison that random numbers do not meet.
  const std::set<std::string> left_out{"dropout", "identity", "eq"};
  for (const OpCase& row : op_cases()) {
    if (!left_out.count(row.op)) CHECK_MESSAGE(lines[row.op] >= 3, row.op);
  }
}
