#include "autograd/checks/case_lists.h"
#include "autograd/ops.h"

namespace damc {

std::vector<OpCase> shape_cases() {
  const Draw x{{2, 3, 4}};
  std::vector<OpCase> rows{
      {"sum", "all", {x}, [](const Variables& v) { return sum(v[0]); }},
      {"mean", "", {x}, [](const Variables& v) { return mean(v[0]); }},
  };
  for (const Shape& to : {Shape{6, 4}, Shape{4, -1}, Shape{24}}) {
    rows.push_back({"reshape", to.str(), {x}, [to](const Variables& v) { return reshape(v[0], to); }});
  }
  rows.push_back({"reshape", "[]", {{{1, 1}}}, [](const Variables& v) { return reshape(v[0], {}); }});
  for (const int dim : {0, 1, 2, -1}) {
    const std::string words = "dim " + std::to_string(dim);
    rows.push_back({"sum", words, {x}, [dim](const Variables& v) { return sum(v[0], dim); }});
    rows.push_back({"narrow", words, {x}, [dim](const Variables& v) { return narrow(v[0], dim, 1, 1); }});
    Shape wide{2, 3, 4};
    wide[dim < 0 ? dim + 3 : dim] = 5;
    rows.push_back({"cat", words, {x, {wide}, x}, [dim](const Variables& v) { return cat(v, dim); }});
  }
  rows.push_back({"narrow", "empty", {x}, [](const Variables& v) { return narrow(v[0], 1, 3, 0); }});
  return rows;
}

}  // namespace damc
