/// Reductions and changes of shape, on variables.
#include "autograd/ops.h"

#include "tensor/error.h"

namespace damc {

namespace {

/// g of a sum at each of the elements that it is of; sums of bf16 are f32.
auto to_terms(const Variable& x) {
  return [s = x.shape(), t = x.dtype()](const auto& g) { return expand(cast(g, t), s); };
}

}  // namespace

Variable sum(const Variable& x) { return record("sum", sum(x.value()), {{x, to_terms(x)}}); }

Variable sum(const Variable& x, const std::vector<int>& dims, bool keepdim) {
  const Shape kept = reduced_shape("sum", x.shape(), dims, true);
  return record("sum", sum(x.value(), dims, keepdim),
                {{x, [kept, of_terms = to_terms(x)](const auto& g) { return of_terms(reshape(g, kept)); }}});
}

Variable sum_to(const Variable& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  return record("sum_to", sum_to(x.value(), shape), {{x, to_terms(x)}});
}

Variable max(const Variable& x, int along, bool keepdim) {
  check_wide("max", x.value());
  const int dim = filled_dim("max", along, x.shape());
  std::int64_t outer = 1, inner = 1;
  for (int d = 0; d < dim; ++d) outer *= x.size(d);
  for (int d = dim + 1; d < x.ndim(); ++d) inner *= x.size(d);
  const std::int64_t size = x.size(dim);
  return reshape(max_pool2d(reshape(x, {outer, size, 1, inner}), {.kernel = {size, 1}}),
                 reduced_shape("max", x.shape(), {dim}, keepdim));
}

Variable softmax(const Variable& x, int dim) {
  const Tensor y = softmax(x.value(), dim);
  return record("softmax", y, {{x, Vjp::of_result(y, [dim](const auto& g, const auto& p) {
                                  return mul(p, sub(g, sum(mul(g, p), dim, true)));
                                })}});
}

Variable log_softmax(const Variable& x, int dim) {
  const Tensor y = log_softmax(x.value(), dim);
  return record("log_softmax", y, {{x, Vjp::of_result(y, [dim](const auto& g, const auto& log_p) {
                                      return sub(g, mul(exp(log_p), sum(g, dim, true)));
                                    })}});
}

Variable cross_entropy(const Variable& logits, const Tensor& target) {
  const bool classes = target.ndim() == 1;
  ENSURE(logits.ndim() == 2 &&
             (classes ? target.shape() == Shape{logits.size(0)} : target.shape() == logits.shape()),
         "cross_entropy: logits are {}, targets {}, expected [N, C] and the same, or [N]",
         logits.shape().str(), target.shape().str());
  ENSURE(logits.size(1) > 0, "cross_entropy: logits {} are of no class", logits.shape().str());
  const Tensor shares = classes ? one_hot(target, logits.size(1), "cross_entropy") : target;
  // A class of probability 0 adds nothing where it has no share: 0 log 0 = 0.
  return sum(masked(log_softmax(logits), shares) * shares) * (-1.0 / static_cast<double>(logits.size(0)));
}

Variable reshape(const Variable& x, const Shape& shape) {
  return record("reshape", x.value().reshape(shape),
                {{x, [s = x.shape()](const auto& g) { return reshape(g, s); }}});
}

Variable flatten(const Variable& x, int first) {
  const int from = wrap_dim("flatten", first, x.shape());
  Shape shape;
  for (int d = 0; d < from; ++d) shape.push_back(x.size(d));
  std::int64_t rest = 1;
  for (int d = from; d < x.ndim(); ++d) rest *= x.size(d);
  shape.push_back(rest);
  return reshape(x, shape);
}

Variable permute(const Variable& x, const Shape& order) {
  const Tensor y = x.value().permute(order);
  Shape back = order;
  for (int d = 0; d < order.ndim(); ++d) back[wrap_dim("permute", static_cast<int>(order[d]), x.shape())] = d;
  return record("permute", y, {{x, [back](const auto& g) { return permute(g, back); }}});
}

Variable transpose(const Variable& x, int first, int second) {
  return record("transpose", x.value().transpose(first, second),
                {{x, [first, second](const auto& g) { return transpose(g, first, second); }}});
}

Variable expand(const Variable& x, const Shape& shape) {
  return record("expand", x.value().expand(shape),
                {{x, [s = x.shape(), t = x.dtype()](const auto& g) { return cast(sum_to(g, s), t); }}});
}

Variable narrow(const Variable& x, int dim, std::int64_t start, std::int64_t length) {
  const Tensor y = x.value().narrow(dim, start, length);
  return record("narrow", y,
                {{x, [dim, start, size = x.size(dim)](const auto& g) { return pad(g, dim, start, size); }}});
}

Variable pad(const Variable& x, int dim, std::int64_t start, std::int64_t size) {
  const Tensor y = pad(x.value(), dim, start, size);
  return record("pad", y,
                {{x, [dim, start, n = x.size(dim)](const auto& g) { return narrow(g, dim, start, n); }}});
}

Variable select(const Variable& x, int along, std::int64_t i) {
  const int dim = wrap_dim("select", along, x.shape());
  const std::int64_t size = x.size(dim);
  ENSURE(i >= -size && i < size, "select: element {} of dimension {} of shape {}", i, along, x.shape().str());
  return reshape(narrow(x, dim, i < 0 ? i + size : i, 1), reduced_shape("select", x.shape(), {dim}, false));
}

Variable cat(const std::vector<Variable>& parts, int dim) {
  std::vector<Tensor> values;
  for (const Variable& part : parts) values.push_back(part.value());
  const Tensor y = cat(values, dim);
  std::vector<Input> inputs;
  std::int64_t start = 0;
  for (const Variable& part : parts) {
    const std::int64_t length = part.size(dim);
    inputs.push_back({part, [dim, start, length](const auto& g) { return narrow(g, dim, start, length); }});
    start += length;
  }
  return record("cat", y, inputs);
}

Variable index_select(const Variable& x, int dim, const Tensor& index) {
  ENSURE(index.ndim() == 1, "index_select: index is {}, expected [n]", index.shape().str());
  if (x.ndim() == 1 && wrap_dim("index_select", dim, x.shape()) == 0)  // as the one row of a matrix
    return reshape(index_select(reshape(x, {1, x.size(0)}), 1, index), index.shape());
  const Variable last = transpose(x, dim, -1);
  return transpose(matmul(last, transpose(one_hot(index, x.size(dim), "index_select"), 0, 1)), dim, -1);
}

Variable gather(const Variable& x, int dim, const Tensor& index) {
  Shape others = index.shape();
  ENSURE(index.ndim() == x.ndim(), "gather: x is {}, index {}", x.shape().str(), index.shape().str());
  others[wrap_dim("gather", dim, others)] = x.size(dim);
  ENSURE(others == x.shape(), "gather: x is {}, index {}", x.shape().str(), index.shape().str());
  // [.., n, C]: the element of each index, picked by zeros and ones from all C.
  const Tensor picks = one_hot(index.transpose(dim, -1), x.size(dim), "gather");
  const Variable from = transpose(x, dim, -1);
  Shape row = from.shape();
  row[row.ndim() - 1] = 1;
  row.push_back(from.size(-1));
  return transpose(sum(masked(expand(reshape(from, row), picks.shape()), picks), -1), dim, -1);
}

}  // namespace damc
