// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/assessment.hpp>

#include <gtest/gtest.h>

namespace mt = mlflow::trace;

namespace {

TEST(Assessment, OfASessionNamesIt) {
    mt::assessment one;
    EXPECT_FALSE(one.is_of_session());
    one.metadata["mlflow.trace.session"] = "session-1";
    EXPECT_TRUE(one.is_of_session());
}

TEST(Assessment, OfAHumanIsValidUnlessItSaysOtherwise) {
    const mt::assessment one;
    EXPECT_EQ(one.source.type, "HUMAN");
    EXPECT_EQ(one.what, mt::assessment::kind::other);
    EXPECT_TRUE(one.valid);
}

} // namespace
