// SPDX-License-Identifier: Apache-2.0
// Traces that name the versions of prompts that they have used, of MLflow's registry.
#include "mlflow/recording.hpp"
#include <mlflow/trace/spans/linked_prompt.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <chrono>
#include <string>

namespace {

using namespace recording;

using delivery = mt::mlflow_exporter<mt::beast_transport>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, delivery>;

TEST(linked_prompts, are_stored_with_the_trace) {
    const std::string name = fresh_name("linked-prompts");
    expected()["experiment"] = name;
    const std::string prompt = "prompt-" + text(mt::hosted_platform::new_span_id().hex().view());
    expected()["prompt"] = prompt;
    tracer_type tracer(delivery::options{.tracking_uri = server(), .experiment_name = name});
    const auto record = [&](const char* part, auto... prompts) {
        auto trace = tracer.start_trace(part, mt::user{"user-1042"}, mt::session{"session-7"}, prompts...);
        expected()[part] = text(trace.trace_id().mlflow_id().view());
    };
    record("none");
    record("first", mt::linked_prompt(prompt, 1));
    record("both", mt::linked_prompt(prompt, 1), mt::linked_prompt(prompt, 2), mt::linked_prompt(prompt, 1));
    ASSERT_TRUE(tracer.flush(std::chrono::seconds(60))) << tracer.last_error().message();
    EXPECT_EQ(tracer.account().exported, 3U) << tracer.last_error().message();
}

} // namespace
