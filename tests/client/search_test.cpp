// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/fields.hpp>
#include <mlflow/trace/client/search.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace mt = mlflow::trace;
namespace field = mt::field;

namespace {

// A source of one's own: traces in memory.
struct in_memory {
    std::vector<mt::trace_info> traces;
    std::size_t fails_after = ~std::size_t{0};

    template <class Visit>
    mt::search_result for_each_trace(const mt::trace_query& query, Visit visit) {
        std::size_t visited = 0;
        for (const mt::trace_info& trace : traces) {
            if (visited == fails_after) return mt::failure{mt::error(mt::error_kind::closed, "memory", "it is gone")};
            if (!query.where.matches(trace) || visited == query.max_results) continue;
            ++visited;
            if (!mt::detail::wants_more(visit, trace)) break;
        }
        return visited;
    }
};
static_assert(mt::trace_source<in_memory> && !mt::trace_source<int>);

mt::trace_info trace_of(std::string id, std::string user) {
    mt::trace_info trace;
    trace.trace_id = std::move(id);
    trace.metadata["mlflow.trace.user"] = std::move(user);
    return trace;
}

struct Search : testing::Test {
    in_memory source{{trace_of("1", "ann"), trace_of("2", "bob"), trace_of("3", "ann"), trace_of("4", "eve")}};
    std::string seen;

    mt::search_result search(const mt::trace_query& query, const mt::alternatives& any) {
        seen.clear();
        return mt::for_each_trace(source, query, any, [&](const mt::trace_info& trace) { seen += trace.trace_id; });
    }
};

TEST_F(Search, FindsAllOrNothing) {
    EXPECT_EQ(mt::find_all(source, {.where = field::user == mt::user{"ann"}})->size(), 2U);
    EXPECT_TRUE(mt::find_all(source, {.where = field::user == mt::user{"nobody"}})->empty());
    source.fails_after = 2;
    const auto found = mt::find_all(source, {});
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().message(), "memory: it is gone");
}

TEST_F(Search, VisitsWhatAlternativesMeanOnceAndInTheirOrder) {
    const auto bob = field::user == mt::user{"bob"}, ann = field::user == mt::user{"ann"};
    EXPECT_EQ(search({}, mt::any_of(bob, ann, bob)).value(), 3U);
    EXPECT_EQ(seen, "213");
    EXPECT_EQ(search({.where = ann}, mt::any_of(bob, ann)).value(), 2U) << "within the query";
    EXPECT_EQ(search({}, mt::alternatives({})).value(), 0U);
}

TEST_F(Search, StopsAtMaxResultsOverAllAlternatives) {
    const auto ann = field::user == mt::user{"ann"}, eve = field::user == mt::user{"eve"};
    EXPECT_EQ(search({.max_results = 2}, mt::any_of(ann, eve)).value(), 2U);
    EXPECT_EQ(seen, "13");
    EXPECT_EQ(search({.max_results = 3}, mt::any_of(ann, eve)).value(), 3U);
    EXPECT_EQ(seen, "134");
}

TEST_F(Search, LeavesToTheServerWhatOnlyTheServerKnows) {
    const auto failed = search({}, mt::any_of(field::text.like("%refund%")));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().kind(), mt::error_kind::bad_request);
    EXPECT_EQ(seen, "");
    source.fails_after = 1;
    EXPECT_FALSE(search({}, mt::any_of(field::user == mt::user{"ann"})));
}

} // namespace
