// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/pipeline/exporter_adaptor.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

namespace mt = mlflow::trace;

namespace {

// An exporter with `export_traces` alone.
struct plain {
    struct options {
        int number = 0;
    };
    explicit plain(options chosen) : number(chosen.number) {}
    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome;
        outcome.exported_spans = batch.span_count();
        return outcome;
    }
    int number;
};

// One with each optional member, whose results say that it was called.
struct whole : plain {
    static constexpr bool is_thread_safe = true;
    using plain::plain;
    static bool flush(std::chrono::steady_clock::time_point) { return false; }
    static bool shutdown(std::chrono::steady_clock::time_point) { return false; }
    static mt::span_account account() {
        mt::span_account counted;
        counted.exported = 7;
        return counted;
    }
    void interrupt() noexcept { ++number; }
    static mt::error last_error() { return {mt::error_kind::closed, "the receiver"}; }
    static std::string trace_url(const mt::trace_id&) { return "the page"; }
};

template <class Exporter>
class adapted : public mt::exporter_adaptor<Exporter> {
    using adaptor = mt::exporter_adaptor<Exporter>;

public:
    static constexpr bool is_thread_safe = mt::thread_safe_exporter<Exporter>;
    struct options {
        typename adaptor::inner_options exporter{};
    };
    explicit adapted(options chosen) : adaptor(std::move(chosen.exporter)) {}
};

template <class Exporter>
constexpr bool has_no_optional_member =
    !mt::deferring_exporter<Exporter> && !mt::interruptible_exporter<Exporter> && !mt::reporting_exporter<Exporter> &&
    !mt::linking_exporter<Exporter> && !mt::progressing_exporter<Exporter> && !mt::thread_safe_exporter<Exporter>;
static_assert(mt::exporter<adapted<plain>> && has_no_optional_member<adapted<plain>>);
static_assert(mt::deferring_exporter<adapted<whole>> && mt::interruptible_exporter<adapted<whole>> &&
              mt::reporting_exporter<adapted<whole>> && mt::linking_exporter<adapted<whole>> &&
              mt::thread_safe_exporter<adapted<whole>>);

TEST(exporter_adaptor, passes_options_and_traces_to_the_inner_exporter) {
    mt::tracer<mt::open_schema, mt::thread_local_context, adapted<plain>> tracer(
        {.exporter = {.exporter = {.number = 3}}});
    tracer.start_span("x").attribute("n", 1);
    EXPECT_EQ(tracer.account().exported, 1U);
    const auto& adaptor = tracer.exporter();
    EXPECT_EQ(adaptor.exporter().number, 3);
}

TEST(exporter_adaptor, forwards_each_optional_member) {
    adapted<whole> exporter({});
    EXPECT_FALSE(exporter.flush({}));
    EXPECT_FALSE(exporter.shutdown({}));
    EXPECT_EQ(exporter.account().exported, 7U);
    exporter.interrupt();
    EXPECT_EQ(exporter.exporter().number, 1);
    EXPECT_EQ(exporter.last_error(), mt::error(mt::error_kind::closed, "the receiver"));
    EXPECT_EQ(std::string(exporter.trace_url({1, 2})), "the page");
}

} // namespace
