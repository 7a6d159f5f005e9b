// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/metadata/borrowed.hpp>

#include <gtest/gtest.h>

#include <string>

namespace mt = mlflow::trace;

namespace {

TEST(Borrowed, IsCheckedAndUsedLikeItsKey) {
    EXPECT_EQ(mt::borrowed<mt::user>::parse("").error().kind(), mt::error_kind::empty);
    const char* const null = nullptr;
    EXPECT_EQ(mt::borrowed<mt::user>::parse(null).error().kind(), mt::error_kind::missing);
    EXPECT_EQ(mt::borrowed<mt::user>::parse(std::string(251, 'x')).error().kind(), mt::error_kind::too_long);
    const auto id = mt::borrowed<mt::client_request_id>::parse("request-1");
    ASSERT_TRUE(id.has_value());
    const mt::session session{"owned"};
    mt::recorded_trace recorded;
    {
        struct keeping {
            struct options {
                mt::recorded_trace* into = nullptr;
            };
            explicit keeping(options chosen) : into(chosen.into) {}
            mt::export_result export_traces(mt::trace_batch& batch) const {
                for (const mt::trace_data& trace : batch) *into = mt::decode(trace);
                mt::export_result outcome;
                outcome.exported_spans = batch.span_count();
                return outcome;
            }
            mt::recorded_trace* into;
        };
        using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
        mt::tracer<schema, mt::thread_local_context, keeping> tracer({.exporter = {&recorded}});
        auto trace = tracer.start_trace("turn", mt::borrowed<mt::user>("user-1"), mt::borrowed(session), *id);
        EXPECT_FALSE(trace.set(mt::borrowed<mt::user>("user-2")));
    }
    EXPECT_EQ(recorded.metadata["mlflow.trace.user"], "user-1");
    EXPECT_EQ(recorded.metadata["mlflow.trace.session"], "owned");
    EXPECT_EQ(recorded.client_request_id, "request-1");
}

} // namespace
