// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/pipeline/fan_out.hpp>
#include <mlflow/trace/spool/spool.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <type_traits>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

// Keeps what it was made from.
template <int Number>
struct made_from {
    struct options {
        std::string text = "default";
        std::unique_ptr<int> owned{};
    };
    explicit made_from(options chosen) : given(std::move(chosen)) {}
    mt::export_result export_traces(mt::trace_batch& batch) { return {.exported_spans = batch.span_count()}; }
    options given;
};

template <class Exporter, class Recording = mt::record_all>
using tracer_to = mt::tracer<mt::open_schema, mt::explicit_context, Exporter, Recording, mt::hosted_platform>;

using inner = made_from<0>;
using again = mt::retry<inner>;

TEST(options, of_a_layer_find_their_place) {
    tracer_to<mt::batch<again>> tracer(inner::options{.text = "chosen"});
    EXPECT_EQ(tracer.get<inner>().given.text, "chosen");
    EXPECT_EQ(&tracer.get<inner>(), &tracer.exporter().exporter().exporter());
    EXPECT_EQ(&tracer.get<again>(), &tracer.exporter().exporter());
}

TEST(options, of_several_layers_come_in_any_order) {
    using type = tracer_to<mt::batch<again>, mt::record_ratio>;
    bool is_told = false;
    const auto handler = [](void* told, const mt::error&) noexcept { *static_cast<bool*>(told) = true; };
    type tracer(inner::options{.text = "chosen", .owned = std::make_unique<int>(7)}, mt::record_ratio::options{0.0},
                mt::batch<again>::options{.max_queue_spans = 7},
                type::options{.on_error = handler, .error_context = &is_told}, again::options{.keep_rejected = 1});
    EXPECT_EQ(*tracer.get<inner>().given.owned, 7);
    EXPECT_FALSE(tracer.start_trace("turn").recording());
    EXPECT_FALSE(tracer.update_current_trace(mt::user{"user-1"}));
    EXPECT_TRUE(is_told);
}

TEST(options, of_an_outer_layer_bring_their_inner_ones_unless_these_are_given) {
    tracer_to<again> brought(again::options{.exporter = {.text = "brought"}});
    EXPECT_EQ(brought.get<inner>().given.text, "brought");
    tracer_to<again> given(inner::options{.text = "given"}, again::options{.exporter = {.text = "brought"}});
    EXPECT_EQ(given.get<inner>().given.text, "given");
}

TEST(options, reach_the_branches_of_a_fan_out_the_transport_and_the_deployment) {
    using other = made_from<1>;
    using mlflow = mt::mlflow_exporter<mt::memory_transport>;
    auto server = std::make_shared<mt::memory_server>();
    using everywhere = mt::fan_out<mt::batch<mt::retry<inner>>, other, mt::deployed<mlflow>>;
    tracer_to<everywhere> tracer(mt::memory_transport_options{server}, other::options{.text = "other"},
                                 mt::deployment_info{.version = "1.4.0"}, mlflow::options{.experiment_id = "7"});
    EXPECT_EQ(tracer.get<other>().given.text, "other");
    EXPECT_EQ(tracer.get<inner>().given.text, "default");
    EXPECT_EQ(&tracer.get<mt::retry<inner>>().exporter(), &tracer.get<inner>());
    static_cast<void>(tracer.get<mlflow>().connect());
    EXPECT_FALSE(server->requests().empty());
}

TEST(options, of_a_tracer_that_is_off_compile_too) {
    tracer_to<mt::batch<again>, mt::record_nothing> tracer(inner::options{.text = "chosen"});
    EXPECT_FALSE(tracer.start_trace("turn").recording());
}

TEST(options, a_common_pipeline_has_a_name) {
    using transport = mt::memory_transport;
    static_assert(std::is_same_v<mt::to_mlflow<transport>, mt::batch<mt::retry<mt::mlflow_exporter<transport>>>>);
    static_assert(std::is_same_v<mt::to_mlflow_spooled<transport>, mt::spool<mt::mlflow_exporter<transport>>>);
    static_assert(mt::composes<mt::to_mlflow<transport>> && mt::composes<mt::to_mlflow_spooled<transport>>);
}

} // namespace
