// What flagged words carry: messages in memory that need not be aligned, that may lie in rows of a
// tensor (MessageRows in peer_view.h), and that may end within a word.
#pragma once

#include "comm/nccl/peer.cuh"

namespace cleave::nccl {

// What a word carries of elements of a type: whole ones.
template <class T>
constexpr int kPayloadBytes = sizeof(T) == 8 ? 8 : 12;

// The words of a message; an empty one is a word too, which says that its sender has come.
template <class T = std::byte>
__host__ __device__ int64_t words_of(int64_t bytes) {
  return bytes == 0 ? 1 : (bytes + kPayloadBytes<T> - 1) / kPayloadBytes<T>;
}

// Bytes or elements of a message whose rows have `run` of them: which row, and where in it. 32 bits
// divide much faster than 64.
struct RowPlace {
  uint32_t row;
  uint32_t column;

  __device__ RowPlace(uint32_t index, uint32_t run) : row(index / run), column(index - row * run) {}
  __device__ int64_t offset(int64_t stride) const { return row * stride + column; }
  __device__ void advance(uint32_t by, uint32_t run) {
    column += by;
    if (column < run) return;
    column -= run;
    ++row;
  }
};

__host__ __device__ inline bool is_stretch(const MessageRows& rows, int64_t bytes) {
  return rows.run >= bytes;
}

__host__ __device__ inline bool aligned_to_words(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 4 == 0;
}

// Whether what begins at multiples of 4 bytes of a message does so in memory.
__device__ inline bool aligned_to_words(const void* base, const MessageRows& rows, int64_t bytes) {
  return aligned_to_words(base) &&
         (is_stretch(rows, bytes) || (rows.run % 4 == 0 && rows.stride % 4 == 0));
}

// Where the payload of a word lies, none behind the message's end. `Byte` is std::byte, const or
// not.
template <class T, class Byte>
class PayloadPlace {
 public:
  // `aligned` is aligned_to_words of the message.
  __device__ PayloadPlace(Byte* base, const MessageRows& rows, int64_t word, int64_t bytes,
                          bool aligned)
      : base_(base), rows_(rows), begin_(word * kBytes), stretch_(is_stretch(rows, bytes)) {
    const int64_t left = bytes - begin_;
    bytes_ = left < kBytes ? static_cast<int>(left) : kBytes;
    by_fours_ = aligned ? bytes_ & ~3 : 0;
    if (stretch_) {
#pragma unroll
      for (int i = 0; i < kFours; ++i) fours_[i] = begin_ + 4 * i;
    } else {
      RowPlace place(static_cast<uint32_t>(begin_), run());
#pragma unroll
      for (int i = 0; i < kFours; ++i) {
        fours_[i] = place.offset(rows_.stride);
        place.advance(4, run());
      }
    }
  }

  // Before the stream is awaited.
  __device__ void work_out() {
#pragma unroll
    for (int i = 0; i < kFours; ++i) nccl::work_out(fours_[i]);
    nccl::work_out(bytes_);
    nccl::work_out(by_fours_);
  }

  // In two steps, of which the first waits for nothing and is all that most words need. Bytes
  // behind the end are 0.
  __device__ Payload begin_load() const {
    Payload payload = {};
#pragma unroll
    for (int i = 0; i < kFours; ++i) {
      if (4 * i < by_fours_) payload.at[i] = *reinterpret_cast<const uint32_t*>(base_ + fours_[i]);
    }
    return payload;
  }
  __device__ void end_load(Payload& payload) const {
    for_bytes([&](int i, int64_t at) {
      payload.at[i / 4] |= uint32_t{static_cast<uint8_t>(base_[at])} << (8 * (i % 4));
    });
  }
  __device__ Payload load() const {
    Payload payload = begin_load();
    end_load(payload);
    return payload;
  }

  __device__ void store(const Payload& payload) const {
#pragma unroll
    for (int i = 0; i < kFours; ++i) {
      if (4 * i < by_fours_) *reinterpret_cast<uint32_t*>(base_ + fours_[i]) = payload.at[i];
    }
    for_bytes([&](int i, int64_t at) {
      base_[at] = static_cast<std::byte>(payload.at[i / 4] >> (8 * (i % 4)));
    });
  }

 private:
  static constexpr int kBytes = kPayloadBytes<T>;
  static constexpr int kFours = kBytes / 4;

  __device__ uint32_t run() const { return static_cast<uint32_t>(rows_.run); }

  // Calls `visit(i, at)` for the bytes that are moved one by one: byte i of the word, at `base_`
  // plus `at`.
  template <class Visit>
  __device__ void for_bytes(Visit&& visit) const {
    if (by_fours_ >= bytes_) return;
    if (stretch_) {
#pragma unroll
      for (int i = 0; i < kBytes; ++i) {
        if (i >= by_fours_ && i < bytes_) visit(i, begin_ + i);
      }
      return;
    }
    RowPlace place(static_cast<uint32_t>(begin_), run());
#pragma unroll
    for (int i = 0; i < kBytes; ++i) {
      if (i >= by_fours_ && i < bytes_) visit(i, place.offset(rows_.stride));
      place.advance(1, run());
    }
  }

  Byte* base_;
  MessageRows rows_;
  int64_t begin_;  // of the message's bytes
  bool stretch_;
  int64_t fours_[kFours];  // where they lie from `base_`
  int bytes_;              // 0 or less: none
  int by_fours_;           // of them are moved four at a time
};

// The elements that a payload carries, and back.
template <class Elements>
__device__ Elements elements_of(const Payload& payload) {
  static_assert(sizeof(Elements) <= sizeof payload);
  Elements elements;
  memcpy(&elements, &payload, sizeof elements);
  return elements;
}
template <class Elements>
__device__ Payload payload_of(const Elements& elements) {
  static_assert(sizeof(Elements) <= sizeof(Payload));
  Payload payload = {};
  memcpy(&payload, &elements, sizeof elements);
  return payload;
}

// ---- messages to the peers ----

// What a rank has for a peer, in words of whole elements of T.
template <class T>
struct Outgoing {
  const PeerView& view;
  const PeerMessage& message;
  int peer;
  bool aligned;

  __device__ Outgoing(const PeerView& view, const PeerMessages& messages, int peer)
      : view(view),
        message(messages.of[peer]),
        peer(peer),
        aligned(aligned_to_words(message.send, message.send_rows, message.send_bytes)) {}

  __device__ int64_t words() const { return words_of<T>(message.send_bytes); }
  __device__ PayloadPlace<T, const std::byte> place(int64_t word) const {
    return {static_cast<const std::byte*>(message.send), message.send_rows, word,
            message.send_bytes, aligned};
  }
  __device__ void send(int64_t word, const Payload& payload, uint32_t epoch) const {
    FlaggedWord{payload, epoch}.store(slot(view, peer, view.rank, epoch) + word * 16);
  }
};

// The beginning of a flagged kernel: awaits the stream, sends the peers all that this thread has
// for them, words `first`, `first` + `step` and so on, and counts the epoch, whose number it
// returns. By all threads of a block.
template <class T = std::byte>
__device__ uint32_t send_messages(const PeerView& view, const PeerMessages& messages, int64_t first,
                                  int64_t step) {
  const EpochCount count(view);
  const Outgoing<T> next(view, messages, (view.rank + 1) % view.ranks);
  auto place = next.place(first);
  place.work_out();
  await_stream();
  Payload payload = place.begin_load();
  const uint32_t epoch = count.next();
  if (first < next.words()) {
    place.end_load(payload);
    next.send(first, payload, epoch);
  }
  for (int distance = 1; distance < view.ranks; ++distance) {
    const Outgoing<T> message(view, messages, (view.rank + distance) % view.ranks);
    for (int64_t word = distance == 1 ? first + step : first; word < message.words();
         word += step) {
      message.send(word, message.place(word).load(), epoch);
    }
  }
  count.advance(epoch);
  return epoch;
}

}  // namespace cleave::nccl
