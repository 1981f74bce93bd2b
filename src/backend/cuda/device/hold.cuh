// For clocks: what holds a stream, and a kernel that does nothing.

// Until *released has come to `turn`, or for so many nanoseconds: a host that cannot put more on a
// stream that is held would wait for it forever.
extern "C" __global__ void hold(const volatile uint32_t* released, const uint32_t turn,
                                const uint64_t limit) {
  const auto now = [] {
    uint64_t ns;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns));
    return ns;
  };
  const uint64_t begin = now();
  while (static_cast<int32_t>(*released - turn) < 0 && now() - begin < limit) __nanosleep(200);
}

extern "C" __global__ void nothing() {}
