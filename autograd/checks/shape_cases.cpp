#include "autograd/checks/case_lists.h"
#include "autograd/ops.h"

namespace damc {

std::vector<OpCase> reduction_cases() {
  const Draw x{{2, 3, 4}};
  std::vector<OpCase> rows{
      {"sum", "all", {x}, [](const Variables& v) { return sum(v[0]); }},
      {"mean", "", {x}, [](const Variables& v) { return mean(v[0]); }},
      {"sum", "no dimension", {x}, [](const Variables& v) { return sum(v[0], std::vector<int>{}); }},
      {"sum",
       "dims 0, -1",
       {x},
       [](const Variables& v) {
         return sum(v[0], {0, -1});
       }},
      {"sum",
       "dims 0, 1, kept",
       {x},
       [](const Variables& v) {
         return sum(v[0], {0, 1}, true);
       }},
      {"mean", "dim 1", {x}, [](const Variables& v) { return mean(v[0], 1); }},
      {"mean",
       "dims 1, 2, kept",
       {x},
       [](const Variables& v) {
         return v[0] - mean(v[0], {1, 2}, true);
       }},
  };
  for (const int dim : {0, 1, -1}) {
    const std::string words = "dim " + std::to_string(dim);
    rows.push_back({"sum", words, {x}, [dim](const Variables& v) { return sum(v[0], dim); }});
    rows.push_back({"max", words, {x}, [dim](const Variables& v) { return max(v[0], dim); }});
    rows.push_back({"softmax", words, {x}, [dim](const Variables& v) { return softmax(v[0], dim); }});
    rows.push_back({"log_softmax", words, {x}, [dim](const Variables& v) { return log_softmax(v[0], dim); }});
  }
  rows.push_back({"max", "kept", {x}, [](const Variables& v) { return v[0] - max(v[0], 1, true); }});
  return rows;
}

std::vector<OpCase> shape_cases() {
  const Draw x{{2, 3, 4}};
  std::vector<OpCase> rows{
      {"flatten", "", {x}, [](const Variables& v) { return flatten(v[0]); }},
      {"permute",
       "",
       {x},
       [](const Variables& v) {
         return permute(v[0], {2, 0, 1});
       }},
      {"transpose", "", {x}, [](const Variables& v) { return transpose(v[0], 0, -1); }},
      {"expand",
       "",
       {{{3, 1}}},
       [](const Variables& v) {
         return expand(v[0], {2, 3, 4});
       }},
      {"pad", "", {x}, [](const Variables& v) { return pad(v[0], 1, 2, 6); }},
      {"select", "", {x}, [](const Variables& v) { return select(v[0], 1, 2); }},
      {"select", "from the end", {x}, [](const Variables& v) { return select(v[0], -1, -3); }},
  };
  for (const Shape& to : {Shape{6, 4}, Shape{4, -1}, Shape{24}}) {
    rows.push_back({"reshape", to.str(), {x}, [to](const Variables& v) { return reshape(v[0], to); }});
  }
  rows.push_back({"reshape", "[]", {{{1, 1}}}, [](const Variables& v) { return reshape(v[0], {}); }});
  for (const int dim : {0, 1, 2, -1}) {
    const std::string words = "dim " + std::to_string(dim);
    rows.push_back({"narrow", words, {x}, [dim](const Variables& v) { return narrow(v[0], dim, 1, 1); }});
    Shape wide{2, 3, 4};
    wide[dim < 0 ? dim + 3 : dim] = 5;
    rows.push_back({"cat", words, {x, {wide}, x}, [dim](const Variables& v) { return cat(v, dim); }});
  }
  rows.push_back({"narrow", "empty", {x}, [](const Variables& v) { return narrow(v[0], 1, 3, 0); }});
  return rows;
}

std::vector<OpCase> index_cases() {
  const Draw x{{2, 3, 4}};
  // Whole numbers of the type and on the device of the other operand.
  const auto whole = [](const std::vector<double>& numbers, const Shape& shape, const Variable& like) {
    return Tensor::from(numbers, shape, like.device()).to(like.dtype());
  };
  return {
      {"index_select",
       "",
       {x},
       [=](const Variables& v) {
         return index_select(v[0], 1, whole({2, 0, 2, 1, 2}, {5}, v[0]));
       }},
      {"index_select",
       "one dimension",
       {{{4}}},
       [=](const Variables& v) {
         return index_select(v[0], -1, whole({2, 0, 2}, {3}, v[0]));
       }},
      {"gather",
       "last",
       {{{2, 4}}},
       [=](const Variables& v) {
         return gather(v[0], 1, whole({3, 0, 0, 1, 2, 3}, {2, 3}, v[0]));
       }},
      {"gather",
       "first",
       {{{2, 3}}},
       [=](const Variables& v) {
         return gather(v[0], 0, whole({1, 0, 1}, {1, 3}, v[0]));
       }},
      {"embedding",
       "",
       {{{5, 3}}},
       [=](const Variables& v) {
         return embedding(whole({4, 0, 4, 2}, {2, 2}, v[0]), v[0]);
       }},
  };
}

}  // namespace damc
