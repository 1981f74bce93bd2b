// What the tests of communicators have in common.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "tests/conformance/communicator_harness.h"

namespace cleave::conformance {

inline std::string message_of(const std::exception_ptr& thrown) {
  if (!thrown) return "";
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("not a cleave::Error: ") + error.what();
  }
}

inline bool is_device_error(const std::exception_ptr& thrown) {
  if (!thrown) return false;
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return error.code() == ErrorCode::kDevice;
  } catch (...) {
    return false;
  }
}

template <class Harness>
class CommunicatorTest : public testing::Test {
 protected:
  void SetUp() override {
    if (Harness::sizes().empty()) GTEST_SKIP() << "this machine has no device for it";
  }

  // Runs `body` for every rank of a new group of each size; no rank may throw.
  void for_each_size(const std::function<void(Communicator&)>& body) {
    for (const int size : Harness::sizes()) {
      SCOPED_TRACE("N = " + std::to_string(size));
      const Group group = Harness::make_group(size);
      expect_success(group, body);
      if (this->HasFailure()) return;
    }
  }

  static void expect_success(const Group& group, const std::function<void(Communicator&)>& body) {
    for (const std::exception_ptr& thrown : run_ranks(group, body)) {
      EXPECT_EQ(message_of(thrown), "");
    }
  }

  // The group works: a sum over ranks comes out right.
  static void expect_working(Communicator& rank) {
    const int64_t term = rank.rank() + 1;
    int64_t sum = 0;
    rank.all_reduce(&term, &sum, 1, DType::kInt64, ReduceOp::kSum);
    EXPECT_EQ(sum, int64_t{rank.size()} * (rank.size() + 1) / 2);
  }

  // Sizes at which a rank can wait for another.
  static std::vector<int> sizes_above_one() {
    std::vector<int> sizes = Harness::sizes();
    std::erase(sizes, 1);
    return sizes;
  }

  // Those of `wanted` that the implementation has enough devices for.
  static std::vector<int> possible_sizes(std::vector<int> wanted) {
    const std::vector<int> sizes = Harness::sizes();
    const int largest = *std::max_element(sizes.begin(), sizes.end());
    std::erase_if(wanted, [&](int size) { return size > largest; });
    return wanted;
  }
};

}  // namespace cleave::conformance
