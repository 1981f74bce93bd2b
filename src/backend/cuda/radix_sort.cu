#include <cub/device/device_radix_sort.cuh>

#include "backend/cuda/radix_sort.h"
#include "comm/nccl/cuda_check.h"

namespace cleave::backend {
namespace {

template <class Key>
cudaError_t sort(std::byte* workspace, size_t& bytes, cub::DoubleBuffer<Key>& keys,
                 cub::DoubleBuffer<uint32_t>& values, int64_t count, int first_bit, int last_bit,
                 cudaStream_t stream) {
  return cub::DeviceRadixSort::SortPairs(workspace, bytes, keys, values,
                                         static_cast<uint32_t>(count), first_bit, last_bit, stream);
}

}  // namespace

template <class Key>
int64_t radix_sort_bytes(int64_t count) {
  cub::DoubleBuffer<Key> keys(nullptr, nullptr);
  cub::DoubleBuffer<uint32_t> values(nullptr, nullptr);
  size_t bytes = 0;
  cuda_check(sort<Key>(nullptr, bytes, keys, values, count, 0, 8 * sizeof(Key), nullptr),
             "sizing a sort");
  return static_cast<int64_t>(bytes);
}

template <class Key>
int radix_sort(const SortBuffers<Key>& buffers, int from, int64_t count, int first_bit,
               int last_bit, std::span<std::byte> workspace, StreamHandle stream) {
  cub::DoubleBuffer<Key> keys(buffers.keys[from], buffers.keys[1 - from]);
  cub::DoubleBuffer<uint32_t> values(buffers.values[from], buffers.values[1 - from]);
  size_t bytes = workspace.size();
  cuda_check(sort<Key>(workspace.data(), bytes, keys, values, count, first_bit, last_bit,
                       static_cast<cudaStream_t>(stream.native)),
             "starting a sort");
  return keys.selector == 0 ? from : 1 - from;
}

template int64_t radix_sort_bytes<uint32_t>(int64_t);
template int64_t radix_sort_bytes<uint64_t>(int64_t);
template int radix_sort<uint32_t>(const SortBuffers<uint32_t>&, int, int64_t, int, int,
                                  std::span<std::byte>, StreamHandle);
template int radix_sort<uint64_t>(const SortBuffers<uint64_t>&, int, int64_t, int, int,
                                  std::span<std::byte>, StreamHandle);

}  // namespace cleave::backend
