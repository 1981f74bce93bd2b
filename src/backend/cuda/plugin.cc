// What libcleave_cuda.so exports (runtime/backends.cc).
#include "backend/cuda/cuda_backend.h"

extern "C" const char* cleave_backend_version() { return CLEAVE_VERSION; }

// A new object, which the caller owns.
extern "C" std::shared_ptr<const cleave::backend::Backend>* cleave_backend() {
  return new std::shared_ptr<const cleave::backend::Backend>(cleave::backend::make_cuda_backend());
}
