// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/alternatives.hpp>
#include <mlflow/trace/client/fields.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace mt = mlflow::trace;
namespace field = mt::field;

namespace {

TEST(Alternatives, KeepTheirFiltersInOrder) {
    const auto bob = field::user == mt::user{"bob"};
    const auto failed = field::status == field::error;
    EXPECT_EQ(mt::any_of(bob, failed, bob).filters(), (std::vector<mt::filter>{bob, failed, bob}));
    EXPECT_EQ(mt::alternatives({failed}).filters(), std::vector<mt::filter>{failed});
    EXPECT_TRUE(mt::any_of().filters().empty());
}

} // namespace
