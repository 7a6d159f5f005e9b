// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/core/traceparent.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mt = mlflow::trace;

namespace {

const std::string good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(Traceparent, ReadsTheExampleOfTheSpecification) {
    const auto read = mt::remote_span::parse(good);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->trace_id.hex().view(), "4bf92f3577b34da6a3ce929d0e0e4736");
    EXPECT_EQ(read->id.hex().view(), "00f067aa0ba902b7");
    EXPECT_TRUE(read->is_sampled);
    EXPECT_EQ(read->text().view(), good);
}

TEST(Traceparent, ReadsTheFlagsThatTheSpecificationHas) {
    std::string value = good;
    value.replace(53, 2, "00");
    EXPECT_FALSE(mt::remote_span::parse(value)->is_sampled);
    EXPECT_EQ(mt::remote_span::parse(value)->text().view(), value);
    for (const char* const flags : {"00", "01", "02", "03"}) {
        value.replace(53, 2, flags);
        const auto read = mt::remote_span::parse(value);
        EXPECT_EQ(read->is_sampled, flags[1] == '1' || flags[1] == '3');
        EXPECT_EQ(read->has_random_id, flags[1] == '2' || flags[1] == '3');
        EXPECT_EQ(read->text().view(), value);
    }
    value.replace(53, 2, "ff");
    EXPECT_TRUE(mt::remote_span::parse(value)->is_sampled);
    EXPECT_EQ(mt::remote_span::parse(value)->text().view().substr(53), "03") << "others are not sent on";
}

TEST(Traceparent, TakesLaterVersionsByWhatTheyShare) {
    std::string value = good;
    value.replace(0, 2, "cc");
    EXPECT_TRUE(mt::remote_span::parse(value).has_value());
    EXPECT_TRUE(mt::remote_span::parse(value + "-what-comes-then").has_value());
    EXPECT_FALSE(mt::remote_span::parse(value + "x").has_value());
}

TEST(Traceparent, MayHaveSpaceAroundIt) { // RFC 9110, 5.5: it is not a part of the value
    for (const std::string& value : {" " + good, good + "\t ", "\t" + good + " "})
        EXPECT_EQ(mt::remote_span::parse(value)->text().view(), good);
}

TEST(Traceparent, RefusesWhatTheSpecificationCallsInvalid) {
    for (const std::string& value : std::vector<std::string>{
             std::string(), good.substr(1), good + "0", good + "-01", "\n" + good, good + " 1", "ff" + good.substr(2),
             "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
             "00-" + std::string(32, '0') + good.substr(35),
             good.substr(0, 36) + std::string(16, '0') + good.substr(52), good.substr(0, 53) + "0g",
             good.substr(0, 2) + "_" + good.substr(3), good.substr(0, 35) + "_" + good.substr(36),
             good.substr(0, 52) + "_" + good.substr(53), std::string(55, '-')}) {
        const auto read = mt::remote_span::parse(value);
        ASSERT_FALSE(read.has_value()) << value;
        EXPECT_EQ(read.error().about(), "traceparent");
        EXPECT_EQ(read.error().kind(), value.empty() ? mt::error_kind::empty : mt::error_kind::malformed);
    }
}

} // namespace
