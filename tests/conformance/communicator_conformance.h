// The suite that every Communicator passes. An implementation instantiates it with its harness
// (communicator_harness.h):
//   CLEAVE_COMMUNICATOR_CONFORMANCE(Name, Harness);
#pragma once

#include "tests/conformance/communicator_collectives.h"
#include "tests/conformance/communicator_failures.h"

#define CLEAVE_COMMUNICATOR_CONFORMANCE(Name, Harness)                    \
  INSTANTIATE_TYPED_TEST_SUITE_P(Name, CommunicatorCollectives, Harness); \
  INSTANTIATE_TYPED_TEST_SUITE_P(Name, CommunicatorFailures, Harness)
