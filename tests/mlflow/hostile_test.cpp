// SPDX-License-Identifier: Apache-2.0
// Identities that must not be stored as they come, values that MLflow refuses or cannot read back, and servers and
// experiments that cannot be used.
#include "mlflow/recording.hpp"
#include "support/raw_server.hpp"
#include <mlflow/trace/transports/beast.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace recording;

using exporter_type = mt::mlflow_exporter<mt::beast_transport>;
using to_mlflow = mt::batch<exporter_type>;
using segment = mt::key<"app.segment">;
using chat_schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>, mt::optional<segment>>;
using chat_tracer = mt::tracer<chat_schema, mt::thread_local_context, to_mlflow>;

std::string repeated(std::string_view part, int count) {
    std::string whole;
    for (int i = 0; i < count; ++i) whole += part;
    return whole;
}

class hostile : public testing::Test {
protected:
    explicit hostile(const char* experiment = "hostile")
        : tracer_({.exporter = {.exporter = {.tracking_uri = server(), .experiment_name = name(experiment)}},
                   .on_error =
                       [](void* context, const mt::error& error) noexcept {
                           static_cast<std::vector<mt::error_kind>*>(context)->push_back(error.kind());
                       },
                   .error_context = &faults_}),
          traces_(expected()["traces"]) {
        expected()["experiment"] = name();
    }

    static std::string name(const char* experiment = "hostile") {
        static const std::string run = fresh_name("");
        return experiment + run;
    }

    template <class... Values>
    auto start(std::string_view trace_name, const Values&... values) {
        return told_trace<chat_tracer>(tracer_, traces_, trace_name, values...);
    }

    void deliver() {
        EXPECT_TRUE(tracer_.flush(std::chrono::seconds(60)));
        const auto account = tracer_.account();
        EXPECT_EQ(account.exported, account.started) << tracer_.last_error().message();
    }

    std::vector<mt::error_kind> faults_;
    chat_tracer tracer_;
    json& traces_;
};

TEST_F(hostile, an_absent_header_is_no_user) {
    const char* const header = nullptr;
    EXPECT_EQ(mt::user::parse(header).error().kind(), mt::error_kind::missing);
    start("absent", mt::anonymous, mt::no_session);
    start("absent", mt::maybe<mt::user>(mt::anonymous), mt::maybe<mt::session>(mt::no_session),
          mt::client_request_id{"absent-1"});
    start("absent", mt::anonymous, mt::no_session, segment{"free"});
    deliver();
}

TEST_F(hostile, what_is_too_long_is_refused_and_not_cut) {
    const std::string longest = repeated("x", 249) + "é";
    EXPECT_EQ(mt::user::parse(longest + "y").error().kind(), mt::error_kind::too_long);
    EXPECT_EQ(mt::session::parse(repeated("s", 300)).error().kind(), mt::error_kind::too_long);
    EXPECT_EQ(mt::client_request_id::parse(repeated("r", 51)).error().kind(), mt::error_kind::too_long);
    start("longest", *mt::user::parse(longest), *mt::session::parse(longest),
          *mt::client_request_id::parse(repeated("r", 50)));
    auto trace = start("long tag", mt::user{"user-1042"}, mt::session{"session-7"});
    EXPECT_FALSE(trace->set(mt::tag{"too.long", repeated("x", 4'097)}));
    EXPECT_EQ(faults_, std::vector{mt::error_kind::too_long});
    trace->end();
    deliver();
}

// One such span in a batch, and MLflow refuses the batch.
TEST_F(hostile, a_session_that_is_too_long_takes_no_neighbour_with_it) {
    const std::string too_long = repeated("s", 300);
    for (int turn = 0; turn < 20; ++turn) {
        const auto header = mt::session::parse(turn == 10 ? too_long : "session-12");
        mt::maybe<mt::session> session = mt::no_session;
        if (header.has_value()) session = *header;
        auto trace = start("neighbour", mt::user{"user-1042"}, session);
        if (turn == 10) trace->attribute("session.id", too_long).attribute("gen_ai.conversation.id", too_long);
    }
    EXPECT_EQ(faults_, (std::vector{mt::error_kind::reserved, mt::error_kind::reserved}));
    deliver();
}

TEST_F(hostile, what_a_scope_or_a_function_inside_says_belongs_to_the_open_trace) {
    auto trace = start("scope", mt::user{"user-1042"}, mt::session{"session-7"});
    {
        const auto scope = tracer_.scope(segment{"pro"});
        trace.trace()["metadata"]["app.segment"] = "pro";
        EXPECT_TRUE(mt::update_current_trace(mt::client_request_id{"scope-1"}));
        trace.trace()["client_request_id"] = "scope-1";
    }
    std::thread([&] { trace.set(mt::tag{"thread", "another"}); }).join();
    trace->end();
    deliver();
    EXPECT_EQ(faults_, std::vector<mt::error_kind>());
}

TEST_F(hostile, the_first_user_stays) {
    for (const bool with_metadata : {false, true}) {
        faults_.clear();
        auto trace = start("twice", mt::user{"user-1042"}, mt::session{"session-7"});
        if (with_metadata) trace.set(segment{"pro"});
        EXPECT_FALSE(trace->set(mt::user{"user-2210"}));
        EXPECT_FALSE(mt::update_current_trace(mt::session{"session-8"}));
        EXPECT_TRUE(trace->set(mt::user{"user-1042"}));
        EXPECT_EQ(faults_, std::vector(2, mt::error_kind::already_set));
    }
    deliver();
}

TEST_F(hostile, a_trace_that_has_ended_does_not_change) {
    auto trace = start("ended", mt::user{"user-1042"}, mt::session{"session-7"});
    auto late = trace.start_span(trace, "late");
    late.said()["after_its_trace"] = true;
    trace->end();
    EXPECT_FALSE(trace->set(mt::user{"user-2210"}));
    EXPECT_FALSE(trace->set(mt::tag{"late", "yes"}));
    EXPECT_FALSE(mt::update_current_trace(mt::user{"user-2210"}));
    EXPECT_FALSE(tracer_.update_current_trace(mt::session{"session-8"}));
    {
        const auto scope = tracer_.scope(mt::user{"user-2210"}, segment{"free"});
    }
    late->attribute("user.id", "user-2210");
    late->attribute("session.id", "session-8");
    late->attribute("gen_ai.conversation.id", "session-8");
    late->attribute("mlflow.trace.user", "user-2210");
    late->attribute("mlflow.traceTag.late", "yes");
    late->end();
    deliver();
}

// Keeps what it is given.
struct keeping {
    mt::trace_batch* into;
    mt::export_result export_traces(mt::trace_batch& batch) const {
        mt::export_result outcome;
        outcome.exported_spans = batch.span_count();
        into->append(std::move(batch));
        return outcome;
    }
};

TEST_F(hostile, a_batch_that_is_sent_again_changes_nothing) {
    mt::trace_batch kept;
    using keeping_tracer = mt::tracer<chat_schema, mt::thread_local_context, keeping>;
    keeping_tracer tracer({.exporter = {&kept}});
    for (const bool with_metadata : {false, true}) {
        told_trace<keeping_tracer> trace(tracer, traces_, "again", mt::user{"user-1042"}, mt::session{"session-9"},
                                         mt::tag{"kind", "again"});
        if (with_metadata) trace.set(segment{"pro"});
        auto span = trace.start_span(trace, "model", mt::span_type::llm);
        span.event("piece", "number", 1);
        span.usage(10, 5);
        trace.trace()["usage"] = {{"input_tokens", 10}, {"output_tokens", 5}, {"total_tokens", 15}};
    }
    for (int process = 0; process < 2; ++process) {
        exporter_type exporter({.tracking_uri = server(), .experiment_name = name()});
        for (int attempt = 0; attempt < 2; ++attempt) {
            const auto outcome = exporter.export_traces(kept);
            EXPECT_EQ(outcome.exported_spans, 4U) << outcome.error.message();
        }
    }
}

TEST_F(hostile, one_request_carries_user_session_and_tags) {
    auto trace = start("tags", mt::user{"user-1042"}, mt::session{"session-10"});
    trace.set(mt::tag{"priority", "high"});
    trace.set(mt::tag{"json", "{\"a\":1}"});
    trace->end();
    deliver();
}

TEST_F(hostile, no_line_breaks_nor_other_controls) {
    using namespace std::string_view_literals;
    for (const auto text : {"a\nb"sv, "\n"sv, "a\0b"sv, "a\tb"sv, "\x7f"sv, "\xc2\x85"sv}) {
        EXPECT_EQ(mt::user::parse(text).error().kind(), mt::error_kind::control_character);
        EXPECT_EQ(mt::session::parse(text).error().kind(), mt::error_kind::control_character);
    }
    EXPECT_EQ(mt::user::parse(""sv).error().kind(), mt::error_kind::empty);
    EXPECT_EQ(mt::user::parse("a\xff"sv).error().kind(), mt::error_kind::invalid_utf8);
    EXPECT_EQ(mt::session::parse("\xed\xa0\x80"sv).error().kind(), mt::error_kind::invalid_utf8);
}

json nested(int depth) {
    json value = 1;
    while (depth-- > 0) value = json::array({std::move(value)});
    return value;
}

// MLflow takes a batch as a whole, and its pages show many traces at once: a value that it refuses, or takes and
// cannot read, must not reach it, or all its neighbours are lost with it. What such a value becomes is told
// elsewhere: here each trace, and the good one beside it, can be read.
class poison : public hostile, public testing::WithParamInterface<const char*> {
protected:
    poison() : hostile("poison") {}

    template <class Span>
    void record(Span& span) {
        constexpr double infinite = std::numeric_limits<double>::infinity();
        constexpr auto largest = std::numeric_limits<std::uint64_t>::max();
        const std::string_view what = GetParam();
        if (what == "depth 50") span.inputs(nested(50));
        else if (what == "depth 2000") span.outputs(nested(2'000));
        else if (what == "deep attribute") span.attribute("a", nested(50));
        else if (what == "unclosed depth") span.attribute("a", repeated("[", 20'000));
        else if (what == "digits") span.attribute("a", repeated("1", 5'000) + "x");
        else if (what == "digits in a list") span.attribute("a", "[" + repeated("1", 5'000));
        else if (what == "unsigned in a list") span.inputs(std::vector<std::uint64_t>{largest});
        else if (what == "unsigned in JSON") span.inputs(json{{"hash", largest}});
        else if (what == "usage") span.usage({.input = largest, .output = 1});
        else if (what == "cost nan") span.cost({.input = std::numeric_limits<double>::quiet_NaN()});
        else if (what == "cost inf") span.cost({.input = infinite});
        else if (what == "infinity") span.inputs(std::vector<double>{infinite}).attribute("a", infinite);
        else if (what == "invalid UTF-8")
            span.inputs("\xff")
                .outputs(json("\xff"))
                .attribute("\xff", "\xff")
                .event("\xff", mt::arg("\xff", "\xff"));
        else if (what == "NUL") span.inputs(std::string_view("a\0b", 3)).attribute("a", std::string_view("a\0b", 3));
        else if (what == "long type") span.type(mt::span_type(long_));
        else if (what == "long texts") {
            span.set_status(mt::status::error, long_).model(long_).provider(long_);
            span.attribute(long_, 1).event(long_);
        } else if (what == "wrong types") {
            span.attribute("gen_ai.usage.input_tokens", "many").attribute("llm.token_count.prompt", "[1");
            span.attribute("mlflow.spanFunctionName", 7).attribute("openinference.span.kind", 5);
        } else EXPECT_EQ(what, "name"); // a trace that is started so
    }

    const std::string long_ = repeated("n", 100'000);
};

TEST_P(poison, is_kept_from_mlflow) {
    json& ids = expected()["poison"][GetParam()];
    const std::string trace_name = GetParam() == std::string_view("name") ? long_ : "poison";
    {
        auto trace = tracer_.start_trace(trace_name, mt::user{"user-1042"}, mt::session{"session-11"});
        ids.push_back(text(trace.trace_id().mlflow_id()));
        record(trace);
    }
    {
        auto trace = tracer_.start_trace("poison", mt::user{"user-1042"}, mt::session{"session-11"});
        ids.push_back(text(trace.trace_id().mlflow_id()));
        auto span = trace.start_span("inner");
        record(span);
    }
    deliver();
}
INSTANTIATE_TEST_SUITE_P(, poison,
                         testing::Values("depth 50", "depth 2000", "deep attribute", "unclosed depth", "digits",
                                         "digits in a list", "unsigned in a list", "unsigned in JSON", "usage",
                                         "cost nan", "cost inf", "infinity", "invalid UTF-8", "NUL", "name",
                                         "long type", "long texts", "wrong types"));

// Why the exporter cannot connect, in one line.
std::string refusal(exporter_type::options options) {
    options.timeout = std::chrono::seconds(10);
    exporter_type exporter(std::move(options));
    const auto connected = exporter.connect();
    EXPECT_FALSE(connected);
    if (connected) return {};
    const auto& message = connected.error().message();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
}

void expect_says(const std::string& message, std::string_view part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(servers, nobody_listens) {
    std::string uri;
    {
        const raw::listener listener;
        uri = listener.url();
    }
    expect_says(refusal({.tracking_uri = uri}), uri.substr(7)); // without http://

    chat_tracer tracer({.exporter = {.exporter = {.tracking_uri = uri}}});
    for (int i = 0; i < 3; ++i) {
        auto trace = tracer.start_trace("lost", mt::user{"user-1042"}, mt::session{"session-7"});
        const auto span = trace.start_span("inner");
    }
    EXPECT_TRUE(tracer.flush(std::chrono::seconds(30)));
    const auto account = tracer.account();
    EXPECT_EQ(account.started, 6U);
    EXPECT_EQ(account.failed, 6U);
    EXPECT_EQ(account.exported + account.dropped + account.queued + account.open, 0U);
    expect_says(tracer.last_error().message(), uri.substr(7));
}

TEST(servers, of_another_kind) {
    std::atomic<int> posts{0};
    std::string version = "2.22.0";
    std::string status = "200";
    raw::server fake([&](raw::peer& peer, int) {
        for (std::string request; !(request = peer.read_request()).empty();) {
            if (request.starts_with("POST")) ++posts;
            peer.write(raw::reply(status == "200" ? 200 : 404, version));
        }
    });
    expect_says(refusal({.tracking_uri = fake.url()}), "MLflow 2.22.0");
    version = "<html>\n<h1>It works!</h1>";
    expect_says(refusal({.tracking_uri = fake.url()}), "does not look like an MLflow server");
    version = "";
    expect_says(refusal({.tracking_uri = fake.url()}), "does not look like an MLflow server");
    version = "3.17.2";
    status = "404";
    expect_says(refusal({.tracking_uri = fake.url()}), "does not look like an MLflow server");
    EXPECT_EQ(posts, 0);
}

TEST(experiments, that_are_missing) {
    expect_says(refusal({.tracking_uri = server(), .experiment_id = "987654321"}), "987654321 does not exist");
    for (const char* const id : {"no number", "1' OR '1'='1", "1&x=2", "\n"})
        EXPECT_FALSE(refusal({.tracking_uri = server(), .experiment_id = id}).empty());
}

mt::result<mt::mlflow_connection> connect(const std::string& name) {
    exporter_type exporter({.tracking_uri = server(), .experiment_name = name});
    return exporter.connect();
}

TEST(experiments, are_created_and_found_whatever_their_name) {
    for (const char* const part : {" with spaces ", "ロック🚲", "\"quoted\" and 'quoted'", "a/b/../c", "%41+%",
                                   "a&b=c?d#e", "back\\slash", "{\"a\":1}", "null", "~._-"}) {
        const std::string name = fresh_name(part) + part;
        const auto first = connect(name);
        const auto second = connect(name);
        ASSERT_TRUE(first && second) << (first ? "" : first.error().message());
        EXPECT_EQ(first->experiment_id, second->experiment_id);
        expected()["experiments"][name] = first->experiment_id;
    }
}

TEST(experiments, that_are_deleted) {
    const std::string name = fresh_name("deleted");
    chat_tracer tracer({.exporter = {.exporter = {.tracking_uri = server(), .experiment_name = name}}});
    const auto id = tracer.exporter().exporter().connect()->experiment_id;
    mt::beast_transport transport(*mt::endpoint::parse(server()));
    const mt::http_header headers[] = {{"Content-Type", "application/json"}};
    const std::string body = json{{"experiment_id", id}}.dump();
    const auto deleted = transport.send({.method = mt::http_method::post,
                                         .target = "/api/2.0/mlflow/experiments/delete",
                                         .headers = headers,
                                         .body = body});
    ASSERT_TRUE(deleted && deleted->status == 200);
    expect_says(refusal({.tracking_uri = server(), .experiment_id = id}), "is deleted");
    expect_says(refusal({.tracking_uri = server(), .experiment_name = name}), "is deleted");

    // Deleted while the tracer was at work. MLflow goes on taking spans, and refuses what needs a request of its own.
    for (const bool with_metadata : {false, true}) {
        auto trace = tracer.start_trace("too late", mt::user{"user-1042"}, mt::session{"session-7"});
        if (with_metadata) trace.set(segment{"pro"});
    }
    EXPECT_TRUE(tracer.flush(std::chrono::seconds(30)));
    EXPECT_EQ(tracer.account().failed, 1U);
    expect_says(tracer.last_error().message(), "/api/3.0/mlflow/traces");
    expect_says(tracer.last_error().message(), "active");
}

} // namespace
