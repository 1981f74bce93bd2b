// The loops of every instruction set that this CPU has, against plain ones.
#include "backend/cpu/simd/simd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/half.h"

namespace cleave::backend::simd {
namespace {

class Simd : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    t_ = table(GetParam());
    if (t_ == nullptr) GTEST_SKIP() << "this CPU has not got the instruction set";
  }
  static std::vector<float> random(int64_t count, unsigned seed) {
    std::mt19937 generator(seed);
    std::uniform_real_distribution<float> values(-2, 2);
    std::vector<float> result(static_cast<size_t>(count));
    for (float& value : result) value = values(generator);
    return result;
  }
  const Table* t_ = nullptr;
};

constexpr int64_t kLengths[] = {0, 1, 3, 7, 8, 15, 16, 31, 33, 64, 100, 129, 1000};

TEST_P(Simd, TilesOfEverySize) {
  for (int rows = 1; rows <= t_->tile_rows; ++rows) {
    for (int64_t k : {0, 1, 2, 50}) {
      const auto a = random(k * t_->tile_rows, 1);
      const int panels = rows <= 2 ? 4 : 1;
      const auto b = random(k * t_->panel * panels, 2);
      for (int used = 1; used <= panels; ++used) {
        for (bool accumulate : {false, true}) {
          const int64_t columns = used * t_->panel;
          const int64_t ldc = columns + 3;
          std::vector<float> c(static_cast<size_t>(rows * ldc), 7.0f);
          if (used == 1 && rows > 2) {
            t_->tile(rows, k, a.data(), b.data(), c.data(), ldc, accumulate);
          } else {
            t_->narrow_tile(rows, used, k, a.data(), b.data(), k * t_->panel, c.data(), ldc,
                            accumulate);
          }
          for (int64_t i = 0; i < rows; ++i) {
            for (int64_t j = 0; j < ldc; ++j) {
              double sum = accumulate || j >= columns ? 7.0 : 0.0;
              for (int64_t p = 0; p < k && j < columns; ++p) {
                sum += double{a[static_cast<size_t>(p * t_->tile_rows + i)]} *
                       b[static_cast<size_t>((j / t_->panel * k + p) * t_->panel + j % t_->panel)];
              }
              ASSERT_NEAR(c[static_cast<size_t>(i * ldc + j)], sum, 1e-4)
                  << rows << " rows, " << k << " deep, " << i << ", " << j;
            }
          }
        }
      }
    }
  }
}

TEST_P(Simd, TilesOfRowsWhereTheyLie) {
  for (int rows = 1; rows <= t_->tile_rows; ++rows) {
    for (const int64_t columns : {1, 3, t_->panel / 2, t_->panel / 2 + 1, t_->panel}) {
      for (int64_t k : {0, 1, 2, 50}) {
        const int64_t lda = k + 5;
        const int64_t ldc = columns + 3;
        const auto a = random(rows * lda, 1);
        const auto b = random(k * t_->panel, 2);
        for (bool accumulate : {false, true}) {
          std::vector<float> c(static_cast<size_t>(rows * ldc), 7.0f);
          t_->row_tile(rows, k, a.data(), lda, b.data(), columns, c.data(), ldc, accumulate);
          for (int64_t i = 0; i < rows; ++i) {
            for (int64_t j = 0; j < ldc; ++j) {
              double sum = accumulate || j >= columns ? 7.0 : 0.0;
              for (int64_t p = 0; p < k && j < columns; ++p) {
                sum += double{a[static_cast<size_t>(i * lda + p)]} *
                       b[static_cast<size_t>(p * t_->panel + j)];
              }
              ASSERT_NEAR(c[static_cast<size_t>(i * ldc + j)], sum, 1e-4)
                  << rows << " rows, " << columns << " columns, " << k << " deep, " << i << ", "
                  << j;
            }
          }
        }
      }
    }
  }
}

TEST_P(Simd, SumsOfTaps) {
  constexpr int64_t kTaps = 5;
  for (int places = 1; places <= kMaxTapPlaces; ++places) {
    for (const int64_t channels : {1, 3, 4, 7, 16, 20, 37, 64}) {
      for (const int64_t taps : {int64_t{0}, kTaps}) {
        const int64_t x_step = 2 * channels;
        const int64_t y_step = channels + 1;
        const auto x = random((places + kTaps) * x_step, 3);
        const auto w = random(kTaps * channels, 4);
        std::vector<const float*> from, weights;
        for (int64_t t = 0; t < taps; ++t) {
          from.push_back(x.data() + t * channels);
          weights.push_back(w.data() + (kTaps - 1 - t) * channels);
        }
        std::vector<float> y(static_cast<size_t>(places * y_step), 7.0f);
        t_->tap_sums(places, from.data(), x_step, weights.data(), taps, channels, y.data(), y_step);
        for (int64_t i = 0; i < places; ++i) {
          for (int64_t j = 0; j < y_step; ++j) {
            double sum = j == channels ? 7.0 : 0.0;
            for (int64_t t = 0; t < taps && j < channels; ++t) {
              sum += double{from[static_cast<size_t>(t)][i * x_step + j]} *
                     weights[static_cast<size_t>(t)][j];
            }
            ASSERT_NEAR(y[static_cast<size_t>(i * y_step + j)], sum, 1e-4)
                << places << " places, " << channels << " channels, " << i << ", " << j;
          }
        }
      }
    }
  }
}

TEST_P(Simd, TransposesMatrices) {
  for (const int64_t rows : {0, 1, 7, 16, 33}) {
    for (const int64_t columns : {0, 1, 5, 16, 35}) {
      const int64_t x_stride = columns + 2;
      const int64_t y_stride = rows + 3;
      const auto x = random(rows * x_stride, 5);
      std::vector<float> y(static_cast<size_t>(columns * y_stride), 7.0f);
      t_->transpose(x.data(), x_stride, rows, columns, y.data(), y_stride);
      for (int64_t j = 0; j < columns; ++j) {
        for (int64_t i = 0; i < y_stride; ++i) {
          ASSERT_EQ(y[static_cast<size_t>(j * y_stride + i)],
                    i < rows ? x[static_cast<size_t>(i * x_stride + j)] : 7.0f);
        }
      }
    }
  }
}

TEST_P(Simd, DotProductsWithRowsAndSumsOfThem) {
  for (const int64_t count : {0, 1, 7, 16, 35}) {
    for (const int64_t n : {0, 1, 5, 16, 67, 200}) {
      const int64_t stride = n + 3;
      const auto x = random(n, 6);
      const auto y = random(count * stride, 7);
      const auto weights = random(count, 8);
      std::vector<float> dots(static_cast<size_t>(count) + 1, 7.0f);
      t_->dot_rows(x.data(), y.data(), stride, count, n, dots.data());
      EXPECT_EQ(dots.back(), 7.0f);
      for (int64_t i = 0; i < count; ++i) {
        double dot = 0;
        for (int64_t p = 0; p < n; ++p) {
          dot += double{x[static_cast<size_t>(p)]} * y[static_cast<size_t>(i * stride + p)];
        }
        ASSERT_NEAR(dots[static_cast<size_t>(i)], dot, 1e-4) << count << " rows of " << n;
      }
      std::vector<float> sums(static_cast<size_t>(n) + 1, 7.0f);
      t_->add_weighted_rows(weights.data(), y.data(), stride, count, n, sums.data());
      EXPECT_EQ(sums.back(), 7.0f);
      for (int64_t j = 0; j < n; ++j) {
        double sum = 7;
        for (int64_t i = 0; i < count; ++i) {
          sum += double{weights[static_cast<size_t>(i)]} * y[static_cast<size_t>(i * stride + j)];
        }
        ASSERT_NEAR(sums[static_cast<size_t>(j)], sum, 1e-4) << count << " rows of " << n;
      }
    }
  }
}

// Scores of one row whose columns come in two parts, as the softmax of the whole.
void check_softmax(const Table& t, const std::vector<float>& scores, const float* added,
                   int64_t split, int64_t seen) {
  const auto count = static_cast<int64_t>(scores.size());
  const int64_t stride = (count + kMaxPanel - 1) / kMaxPanel * kMaxPanel;
  constexpr float kScale = 0.7f;
  float largest = -std::numeric_limits<float>::infinity();
  float total = 0;
  std::vector<float> weights;
  for (const auto& [begin, end] : {std::pair(int64_t{0}, split), std::pair(split, count)}) {
    std::vector<float> part(static_cast<size_t>(stride), std::nanf(""));
    std::copy(scores.begin() + begin, scores.begin() + end, part.begin());
    const int64_t seen_here = std::clamp<int64_t>(seen - begin, 0, end - begin);
    const float* added_here = added == nullptr ? nullptr : added + begin;
    float factor = 7;
    t.softmax_rows({.rows = 1,
                    .scores = part.data(),
                    .stride = stride,
                    .columns = end - begin,
                    .seen = &seen_here,
                    .added = added == nullptr ? nullptr : &added_here,
                    .scale = kScale,
                    .largest = &largest,
                    .totals = &total,
                    .factors = &factor});
    for (float& weight : weights) weight *= factor;
    weights.insert(weights.end(), part.begin(), part.begin() + (end - begin));
  }
  std::vector<double> expected(scores.size(), -std::numeric_limits<double>::infinity());
  double most = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < scores.size() && static_cast<int64_t>(i) < seen; ++i) {
    const double add = added == nullptr ? 0.0 : double{added[i]};
    if (add >= -std::numeric_limits<double>::max()) expected[i] = double{scores[i]} * kScale + add;
    most = std::max(most, expected[i]);
  }
  double sum = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    const double weight = std::isinf(expected[i]) ? 0.0 : std::exp(expected[i] - most);
    sum += weight;
    ASSERT_NEAR(weights[i], weight, 4e-6) << i << " of " << count << ", " << seen << " seen";
  }
  ASSERT_NEAR(total, sum, 4e-6 * std::max(1.0, sum)) << count << ", " << seen << " seen";
}

TEST_P(Simd, SoftmaxIsCarriedAlong) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const int64_t count : kLengths) {
    std::vector<float> scores = random(count, 9);
    for (float& score : scores) score *= 20;
    std::vector<float> added = random(count, 10);
    for (size_t i = 0; i < added.size(); i += 3) added[i] = -infinity;
    std::vector<float> far(static_cast<size_t>(count), std::numeric_limits<float>::lowest());
    std::vector<float> hidden(static_cast<size_t>(count), -infinity);
    for (const float* mask :
         std::initializer_list<const float*>{nullptr, added.data(), far.data(), hidden.data()}) {
      if (mask == nullptr || count > 0) {
        for (const int64_t split : {int64_t{0}, count / 2, count}) {
          for (const int64_t seen : {count, count / 3, int64_t{0}}) {
            check_softmax(*t_, scores, mask, split, seen);
          }
        }
      }
    }
  }
}

TEST_P(Simd, SoftmaxKeepsNan) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float odd : {std::nanf(""), infinity}) {
    for (const int64_t at : {0, 20, 36}) {
      for (const bool hides : {false, true}) {
        std::vector<float> scores(64, 1.0f);
        std::vector<float> added(37, 0.0f);
        scores[static_cast<size_t>(at)] = odd;
        if (hides) added[static_cast<size_t>(at)] = -infinity;
        const float* mask = added.data();
        const int64_t seen = 37;
        float largest = -infinity;
        float total = 0;
        float factor = 0;
        t_->softmax_rows({.rows = 1,
                          .scores = scores.data(),
                          .stride = 64,
                          .columns = 37,
                          .seen = &seen,
                          .added = &mask,
                          .largest = &largest,
                          .totals = &total,
                          .factors = &factor});
        EXPECT_EQ(std::isnan(total), !hides);
        EXPECT_EQ(factor, 1);
        if (hides) {
          EXPECT_EQ(scores[static_cast<size_t>(at)], 0);
          EXPECT_EQ(total, 36);
        }
      }
    }
  }
}

TEST_P(Simd, HalfConversionsAreThoseOfTheStorageTypes) {
  std::vector<uint16_t> bits(65536);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  std::vector<float> half(bits.size());
  std::vector<float> brain(bits.size());
  t_->half_to_float(bits.data(), half.data(), 65536);
  t_->bfloat16_to_float(bits.data(), brain.data(), 65536);
  for (size_t i = 0; i < bits.size(); ++i) {
    Half h;
    h.bits = bits[i];
    BFloat16 b;
    b.bits = bits[i];
    const auto expected = static_cast<float>(h);
    ASSERT_TRUE(std::isnan(expected) ? std::isnan(half[i]) : half[i] == expected) << i;
    ASSERT_EQ(std::bit_cast<uint32_t>(brain[i]), std::bit_cast<uint32_t>(static_cast<float>(b)));
  }
  // Back: values between two neighbours, ties, overflow, subnormals.
  std::vector<float> x;
  for (uint32_t u = 0; u < 0xff800000u; u += 99991) {
    const auto value = std::bit_cast<float>(u);
    if (!std::isnan(value)) x.push_back(value);
  }
  for (float tie : {2049.0f, 2051.0f, 65519.9f, 65520.0f, 0x1p-25f, 0x1.8p-25f, 0x1.8p-24f}) {
    x.push_back(tie);
  }
  const auto count = static_cast<int64_t>(x.size());
  std::vector<uint16_t> to(x.size());
  t_->float_to_half(x.data(), to.data(), count);
  for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(to[i], Half(x[i]).bits) << x[i];
  t_->float_to_bfloat16(x.data(), to.data(), count);
  for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(to[i], BFloat16(x[i]).bits) << x[i];
}

TEST_P(Simd, ReductionsOfRowsOfEveryLength) {
  for (int64_t n : kLengths) {
    const auto x = random(n, 1);
    const auto y = random(n, 2);
    double sum = 0, squares = 0, dot = 0;
    float largest = -std::numeric_limits<float>::infinity();
    float smallest = -largest;
    for (size_t i = 0; i < x.size(); ++i) {
      sum += x[i];
      squares += (x[i] - 0.5) * (x[i] - 0.5);
      dot += double{x[i]} * y[i];
      largest = std::max(largest, x[i]);
      smallest = std::min(smallest, x[i]);
    }
    EXPECT_NEAR(t_->sum(x.data(), n), sum, 1e-4);
    EXPECT_NEAR(t_->sum_of_squares(x.data(), 0.5f, n), squares, 1e-3);
    EXPECT_NEAR(t_->dot(x.data(), y.data(), n), dot, 1e-3);
    EXPECT_EQ(t_->max(x.data(), n), largest);
    EXPECT_EQ(t_->min(x.data(), n), smallest);
    for (size_t at = 0; at < x.size(); at += 13) {
      auto with_nan = x;
      with_nan[at] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_TRUE(std::isnan(t_->max(with_nan.data(), n)));
      EXPECT_TRUE(std::isnan(t_->min(with_nan.data(), n)));
    }
  }
}

TEST_P(Simd, RowsOfSoftmaxAndNormalisation) {
  for (int64_t n : kLengths) {
    const auto x = random(n, 1);
    const auto w = random(n, 2);
    const auto b = random(n, 3);
    std::vector<float> y(x.size());
    double total = 0;
    const float sum = t_->exp_sum(x.data(), y.data(), 3.0f, 1.0f, n);
    for (size_t i = 0; i < x.size(); ++i) {
      const double expected = std::exp(3.0 * x[i] - 1.0);
      total += expected;
      ASSERT_NEAR(y[i], expected, 1e-6 * expected + 1e-12);
    }
    EXPECT_NEAR(sum, total, 1e-5 * total);
    t_->scale_add(x.data(), 0.25f, w.data(), y.data(), n);
    for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(y[i], x[i] * 0.25f + w[i], 1e-6);
    t_->scale(y.data(), 2.0f, n);
    for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(y[i], 2 * (x[i] * 0.25f + w[i]), 1e-6);
    for (int which = 0; which < 4; ++which) {
      const float* weight = (which & 1) != 0 ? w.data() : nullptr;
      const float* bias = (which & 2) != 0 ? b.data() : nullptr;
      t_->normalise(x.data(), 0.5f, 2.0f, weight, bias, y.data(), n);
      for (size_t i = 0; i < x.size(); ++i) {
        const double expected =
            (x[i] - 0.5) * 2 * (weight != nullptr ? w[i] : 1) + (bias != nullptr ? b[i] : 0);
        ASSERT_NEAR(y[i], expected, 1e-5);
      }
    }
  }
}

TEST_P(Simd, TwoOperandsWithEverySteps) {
  for (int64_t n : kLengths) {
    auto a = random(std::max<int64_t>(n, 1), 1);
    const auto b = random(std::max<int64_t>(n, 1), 2);
    if (n > 5) a[5] = std::numeric_limits<float>::quiet_NaN();
    for (int64_t sa : {0, 1}) {
      for (int64_t sb : {0, 1}) {
        std::vector<float> y(static_cast<size_t>(n));
        std::vector<uint8_t> less(static_cast<size_t>(n));
        const auto at = [&](const std::vector<float>& v, int64_t step, size_t i) {
          return v[step == 0 ? 0 : i];
        };
        t_->binary[static_cast<size_t>(Binary::kMax)](a.data(), sa, b.data(), sb, y.data(), n);
        t_->compare[static_cast<size_t>(Compare::kLess)](a.data(), sa, b.data(), sb, less.data(),
                                                         n);
        for (size_t i = 0; i < y.size(); ++i) {
          const float p = at(a, sa, i);
          const float q = at(b, sb, i);
          ASSERT_TRUE(std::isnan(p) ? std::isnan(y[i]) : y[i] == std::max(p, q));
          ASSERT_EQ(less[i], p < q ? 1 : 0);
        }
        for (int64_t sc : {0, 1}) {
          std::vector<uint8_t> condition(static_cast<size_t>(std::max<int64_t>(n, 1)));
          for (size_t i = 0; i < condition.size(); ++i) condition[i] = i % 3 == 0 ? 0 : 1;
          t_->where(condition.data(), sc, b.data(), sb, a.data(), sa, y.data(), n);
          for (size_t i = 0; i < y.size(); ++i) {
            const float expected = condition[sc == 0 ? 0 : i] != 0 ? at(b, sb, i) : at(a, sa, i);
            ASSERT_TRUE(std::isnan(expected) ? std::isnan(y[i]) : y[i] == expected);
          }
        }
      }
    }
  }
}

std::string isa_name(const testing::TestParamInfo<Isa>& info) {
  constexpr const char* kNames[] = {"baseline", "avx2", "avx512"};
  return kNames[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(All, Simd, testing::Values(Isa::kBaseline, Isa::kAvx2, Isa::kAvx512),
                         isa_name);

}  // namespace
}  // namespace cleave::backend::simd
