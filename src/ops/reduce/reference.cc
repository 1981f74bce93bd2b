#include "ops/reduce/reference.h"

#include "types/arithmetic.h"

namespace cleave::ops {

void reference_reduce(ReduceOp op, const std::vector<int64_t>& axes, const HostTensor& in,
                      HostTensor& out) {
  const size_t rank = in.shape.size();
  // How far one step along each input dimension goes in the output: nowhere if reduced.
  std::vector<int64_t> stride(rank, 0);
  int64_t step = 1;
  for (size_t d = rank; d-- > 0;) {
    if (std::find(axes.begin(), axes.end(), static_cast<int64_t>(d)) != axes.end()) continue;
    stride[d] = step;
    step *= in.shape[d];
  }
  dispatch_dtype(in.dtype, [&]<class T>() {
    const auto x = in.data<T>();
    const auto y = out.data<T>();
    std::vector<Wide<T>> sums(y.size(), identity<Wide<T>>(op));
    std::vector<int64_t> index(rank, 0);
    for (const T& value : x) {
      int64_t at = 0;
      for (size_t d = 0; d < rank; ++d) at += index[d] * stride[d];
      auto&& sum = sums[static_cast<size_t>(at)];
      sum = combine<Wide<T>>(op, sum, widened<Wide<T>>(value));
      for (size_t d = rank; d-- > 0;) {
        if (++index[d] < in.shape[d]) break;
        index[d] = 0;
      }
    }
    for (size_t i = 0; i < sums.size(); ++i) y[i] = narrowed<T>(static_cast<Wide<T>>(sums[i]));
  });
}

}  // namespace cleave::ops
