// As much of an NVIDIA driver as CUDA asks for before it gives up: its version, and whether there
// are devices. Compiled once for each driver that tests need (cmake/CleaveTests.cmake).
extern "C" {
int cuInit(unsigned) { return CLEAVE_STUB_INIT; }
int cuDriverGetVersion(int* version) {
  *version = CLEAVE_STUB_VERSION;
  return 0;
}
}
