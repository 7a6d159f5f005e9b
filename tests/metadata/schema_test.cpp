// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/metadata/identity.hpp>
#include <mlflow/trace/metadata/schema.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace mt = mlflow::trace;

namespace {

using segment = mt::key<"app.segment">;
using model = mt::key<"app.model">;
using schema = mt::schema<mt::propagated<mt::required<mt::user>>, mt::required<mt::session>, mt::late<model>,
                          mt::propagated<mt::optional<segment>>>;

template <class Visit>
std::string names(Visit visit_all) {
    std::string found;
    visit_all([&]<class Key>() { found += std::string(Key::name) + ' '; });
    return found;
}

TEST(schema, lists_its_keys_by_what_they_are) {
    EXPECT_EQ(names([](auto visit) { schema::for_each_required(visit); }), "mlflow.trace.user mlflow.trace.session ");
    EXPECT_EQ(names([](auto visit) { schema::for_each_late(visit); }), "app.model ");
    EXPECT_EQ(names([](auto visit) { schema::for_each_propagated(visit); }), "mlflow.trace.user app.segment ");
}

TEST(schema, knows_its_keys_by_type_and_by_name) {
    static_assert(schema::has<segment> && schema::has<mt::user> && !schema::has<mt::key<"app.other">>);
    static_assert(!schema::is_open);
    EXPECT_TRUE(schema::has_name("app.segment"));
    for (const char* const other : {"", "app", "app.segment ", "app.other"}) EXPECT_FALSE(schema::has_name(other));
}

TEST(schema, may_be_empty) {
    using nothing = mt::schema<>;
    static_assert(!nothing::has<mt::user> && !nothing::is_open);
    EXPECT_FALSE(nothing::has_name(""));
    EXPECT_EQ(names([](auto visit) { nothing::for_each_required(visit); }), "");
}

TEST(schema, that_is_open_takes_every_key_and_wants_none) {
    static_assert(mt::open_schema::has<segment> && mt::open_schema::is_open);
    EXPECT_TRUE(mt::open_schema::has_name("anything"));
    EXPECT_EQ(names([](auto visit) { mt::open_schema::for_each_required(visit); }), "");
    EXPECT_EQ(names([](auto visit) { mt::open_schema::for_each_propagated(visit); }), "");
}

} // namespace
