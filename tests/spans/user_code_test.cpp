// SPDX-License-Identifier: Apache-2.0
// Each place where the library runs code of the application, by each thing that such code may do. What comes of it is
// what docs/reliability.md says, "Your code inside the library".
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

// What the hook that is tried does, each time it runs.
std::function<void()> behaviour;
int runs = 0;

void behave() {
    if (!behaviour) return;
    ++runs;
    ASSERT_LT(runs, 10'000) << "it comes back in without end";
    behaviour();
}

// The hooks of a tracer, quiet until one of them is tried.
enum class hook {
    value,
    attribute,
    whole,
    encoder,
    range,
    map,
    text,
    optional,
    event,
    link,
    redactor,
    sampler,
    exporter,
    handler,
    last
};
constexpr const char* hook_names[] = {"callable_in_arg",
                                      "callable_as_attribute",
                                      "callable_as_inputs",
                                      "encoder",
                                      "range",
                                      "map",
                                      "text",
                                      "optional",
                                      "callable_in_event",
                                      "callable_in_link",
                                      "redactor",
                                      "sampler",
                                      "exporter",
                                      "error_handler"};
hook tried = hook::last;
void behave_as(hook one) {
    if (tried == one) behave();
}

struct encoded {};
struct elements { // its iterator runs the code
    struct iterator {
        int at;
        int operator*() const {
            behave_as(hook::range);
            return at;
        }
        iterator& operator++() {
            ++at;
            return *this;
        }
        bool operator!=(const iterator& other) const { return at != other.at; }
    };
    iterator begin() const { return {1}; }
    iterator end() const { return {3}; }
};
struct members {
    using mapped_type = int;
    struct iterator {
        int at;
        std::pair<const std::string, int> operator*() const {
            behave_as(hook::map);
            return {"key", at};
        }
        iterator& operator++() {
            ++at;
            return *this;
        }
        bool operator!=(const iterator& other) const { return at != other.at; }
    };
    iterator begin() const { return {1}; }
    iterator end() const { return {2}; }
};
struct text {
    operator std::string_view() const {
        behave_as(hook::text);
        return "made";
    }
};
struct perhaps {
    bool has_value() const {
        behave_as(hook::optional);
        return true;
    }
    std::string operator*() const { return "made"; }
};

struct sampler {
    bool sample(const mt::trace_start&) const {
        behave_as(hook::sampler);
        return true;
    }
};
struct redactor {
    mt::redaction operator()(std::string_view key, std::string_view) const {
        behave_as(hook::redactor);
        return key == "secret" ? mt::redaction::remove() : mt::redaction::keep();
    }
};

// Keeps what came, checked byte by byte.
struct checking_exporter {
    static constexpr bool is_thread_safe = true;
    struct options {
        std::vector<mt::recorded_trace>* into = nullptr;
    };
    explicit checking_exporter(options chosen) : into(chosen.into) {}

    mt::export_result export_traces(mt::trace_batch& batch) const {
        for (const mt::trace_data& trace : batch) {
            for (const mt::span_data* span = trace.spans; span; span = span->next) check(span->body.view(), 0);
            into->push_back(mt::decode(trace));
        }
        behave_as(hook::exporter);
        return {.exported_spans = batch.span_count()};
    }
    // The messages of a Span, to the last level.
    static void check(std::string_view message, unsigned around) {
        using namespace mt::detail;
        protobuf_reader at(message);
        while (at.next()) {
            if (at.type() != wire_type::length_delimited) continue;
            const unsigned field = at.field();
            if (around == 0 && (field == otlp::attributes || field == otlp::events || field == otlp::links ||
                                field == otlp::span_status))
                check(at.bytes(), field);
            else if ((around == otlp::events && field == otlp::event_attributes) ||
                     (around == otlp::links && field == otlp::link_attributes))
                check(at.bytes(), otlp::attributes);
            else if (around == otlp::attributes && field == otlp::value) check(at.bytes(), 100);
        }
        EXPECT_FALSE(at.failed()) << "a field of a span is malformed";
    }
    std::vector<mt::recorded_trace>* into;
};

using recording = mt::recording_policy<sampler, redactor>;
template <class Exporter>
using tracer_to = mt::tracer<mt::open_schema, mt::thread_local_context, Exporter, recording>;
using tracer_type = tracer_to<checking_exporter>;

void handle(void*, const mt::error&) noexcept { behave_as(hook::handler); }

} // namespace

template <>
struct mlflow::trace::json_encoder<encoded> {
    template <class Buffer>
    static bool append(Buffer& out, const encoded&) {
        json_object object(out);
        object.member("a", 1);
        behave_as(hook::encoder);
        return object.member("b", 2).close();
    }
};

namespace {

class user_code : public testing::TestWithParam<std::tuple<int, std::string>> {
protected:
    using span = tracer_type::span;

    void SetUp() override {
        tried = hook::last;
        runs = 0;
    }
    void TearDown() override { behaviour = nullptr; }

    void use(hook one) {
        const auto call = [] {
            behave();
            return std::string("made");
        };
        switch (one) {
        case hook::value: subject->inputs(mt::arg("q", call), mt::arg("k", 5)); break;
        case hook::attribute: subject->attribute("tried", call); break;
        case hook::whole: subject->inputs(call); break;
        case hook::encoder: subject->inputs(mt::arg("q", encoded{})); break;
        case hook::range: subject->inputs(mt::arg("q", elements{})); break;
        case hook::map: subject->inputs(mt::arg("q", members{})); break;
        case hook::text: subject->inputs(mt::arg("q", text{})); break;
        case hook::optional: subject->inputs(perhaps{}); break;
        case hook::event: subject->event("tried", mt::arg("q", call)); break;
        case hook::link: subject->link(mt::trace_id{1, 2}, mt::span_id{3}, mt::arg("q", call)); break;
        case hook::redactor: subject->inputs(mt::arg("q", "made"), mt::arg("secret", "s3cret")); break;
        case hook::sampler: static_cast<void>(tracer.start_trace("probe", mt::nested)); break;
        case hook::exporter: static_cast<void>(tracer.start_trace("probe", mt::nested)); break;
        case hook::handler: subject->attribute("", 1); break;
        case hook::last: break;
        }
    }
    std::function<void()> behaviour_named(const std::string& name) {
        if (name == "throws")
            return [] {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
                if (tried != hook::handler) throw std::runtime_error("of the application"); // a handler is noexcept
#endif
            };
        if (name == "records_on_the_same_span")
            return [this] {
                subject->attribute("inner", "value")
                    .outputs(mt::arg("inner", "value"))
                    .event("inner", mt::arg("n", 1));
            };
        if (name == "records_lazily_on_the_same_span") // a hook within a hook
            return [this] {
                subject->outputs(mt::arg("inner", [] { return "value"; }), mt::arg("range", std::vector{1, 2}));
            };
        if (name == "records_on_another_span")
            return [this] { other->attribute("inner", "value").outputs(mt::arg("inner", [] { return "value"; })); };
        if (name == "starts_and_ends_a_span")
            return [this] {
                auto nested = tracer.start_span("nested", mt::span_type::tool);
                nested.inputs("x").set_status(mt::status::error, "a message");
            };
        if (name == "starts_a_trace")
            return [this] {
                auto nested = tracer.start_trace("nested trace", mt::user{"u2"}, mt::no_session, mt::nested);
                nested.previews("asked", "answered");
            };
        if (name == "updates_the_trace")
            return [this] {
                const auto scope = tracer.scope(mt::tag{"scoped", "yes"});
                tracer.update_current_trace(mt::tag{"inner", "yes"});
                mt::update_current_trace(mt::tag{"inner", "yes"});
            };
        if (name == "gives_what_is_refused") return [this] { subject->attribute("", 1).attribute("user.id", "u"); };
        if (name == "ends_the_span") return [this] { subject->end(); };
        if (name == "ends_the_trace")
            return [this] {
                subject->end();
                other->end();
                root->end();
            };
        if (name == "ends_the_span_and_starts_another")
            return [this] {
                subject->end();
                auto same_memory = tracer.start_span("nested");
                same_memory.inputs("of another span");
            };
        if (name == "blocks") return [] { std::this_thread::sleep_for(1ms); };
        if (name == "flushes") return [this] { tracer.flush(1s); };
        return {};
    }
    static hook tried_hook() { return static_cast<hook>(std::get<0>(GetParam())); }
    void expect_balance() {
        const auto account = tracer.account();
        EXPECT_EQ(account.started, account.exported + account.failed + account.dropped);
        const bool throws = MLFLOW_TRACE_HAS_EXCEPTIONS && std::get<1>(GetParam()) == "throws";
        EXPECT_EQ(account.failed, tried_hook() == hook::exporter && throws ? 1U : 0U);
        EXPECT_EQ(account.open, 0U);
        EXPECT_EQ(account.queued, 0U);
        // Only what an exporter records of its own is dropped.
        if (tried_hook() != hook::exporter) {
            EXPECT_EQ(account.dropped, 0U);
        }
    }

    std::vector<mt::recorded_trace> came;
    tracer_type tracer{{.exporter = {&came}, .on_error = &handle}};
    tracer_type::trace* root = nullptr;
    span* other = nullptr;
    span* subject = nullptr;
};

const mt::recorded_span* find(const std::vector<mt::recorded_trace>& traces, std::string_view name) {
    for (const auto& trace : traces)
        if (const auto* const found = trace.find(name)) return found;
    return nullptr;
}

TEST_P(user_code, does_what_is_documented) {
    const auto [number, name] = GetParam();
    const auto one = static_cast<hook>(number);
    auto local_root = tracer.start_trace("turn", mt::user{"u"}, mt::session{"s"});
    auto local_other = tracer.start_span("other");
    auto local_subject = tracer.start_span("subject");
    root = &local_root;
    other = &local_other;
    subject = &local_subject;
    other->attribute("before", 1);
    subject->attribute("before", 1);
    behaviour = behaviour_named(name);
    tried = one;
    use(one);
    tried = hook::last;
    subject->attribute("after", 2);
    other->attribute("after", 2);
    subject->end();
    other->end();
    root->end();

    EXPECT_GT(runs, 0);
    EXPECT_LT(runs, 100);
    expect_balance();

    // Nothing else is lost, and each text that is JSON is JSON.
    for (const auto& trace : came)
        for (const auto& each : trace.spans)
            for (const auto& [key, value] : each.attributes)
                if (key == "mlflow.spanInputs" || key == "mlflow.spanOutputs") {
                    EXPECT_TRUE(nlohmann::json::accept(value)) << value;
                }
    if (one == hook::exporter && name == "ends_the_trace") { // it would have to be exported by the same call
        EXPECT_EQ(tracer.account().dropped, 3U);
        return;
    }
    const auto* const written = find(came, "subject");
    const auto* const beside = find(came, "other");
    ASSERT_TRUE(written && beside && find(came, "turn"));
    const bool ends_the_span = name.starts_with("ends_the") && one != hook::sampler && one != hook::exporter;
    const bool ends_the_trace = name == "ends_the_trace";
    EXPECT_EQ(written->attributes["before"], "1");
    EXPECT_EQ(beside->attributes["before"], "1");
    EXPECT_EQ(written->attributes.contains("after"), !name.starts_with("ends_the"));
    EXPECT_EQ(beside->attributes.contains("after"), !ends_the_trace);

    // The value itself.
    const bool is_value = one < hook::redactor;
    const bool fails = MLFLOW_TRACE_HAS_EXCEPTIONS && name == "throws";
    const bool is_left_out = ends_the_span || (fails && is_value);
    std::string made;
    if (one == hook::attribute) made = written->attributes["tried"];
    else if (one == hook::event)
        made = written->events.empty() || written->events.back().name != "tried"
                   ? ""
                   : written->events.back().attributes["q"];
    else if (one == hook::link) made = written->links.empty() ? "" : written->links.back().attributes["q"];
    else made = written->attributes["mlflow.spanInputs"];
    const std::map<hook, std::string> expected{{hook::value, R"({"q":"made","k":5})"},
                                               {hook::attribute, "made"},
                                               {hook::whole, R"("made")"},
                                               {hook::encoder, R"({"q":{"a":1,"b":2}})"},
                                               {hook::range, R"({"q":[1,2]})"},
                                               {hook::map, R"({"q":{"key":1}})"},
                                               {hook::text, R"({"q":"made"})"},
                                               {hook::optional, R"("made")"},
                                               {hook::event, "made"},
                                               {hook::link, "made"},
                                               {hook::redactor, fails ? R"({"q":"[redacted]","secret":"[redacted]"})"
                                                                      : R"({"q":"made","secret":"[redacted]"})"}};
    if (const auto found = expected.find(one); found != expected.end()) {
        EXPECT_EQ(made, is_left_out ? "" : found->second);
    }
    if (is_left_out) {
        EXPECT_GE(tracer.refused_values(), 1U);
    }

    // And what the code recorded meanwhile; what a redactor records it cannot judge.
    const std::string inner = one == hook::redactor ? "[redacted]" : "value";
    if (name == "records_on_the_same_span") {
        EXPECT_EQ(written->attributes["inner"], inner);
        EXPECT_EQ(written->attributes["mlflow.spanOutputs"], R"({"inner":")" + inner + R"("})");
        EXPECT_GE(written->events.size(), 1U);
    }
    if (name == "records_on_another_span") {
        EXPECT_EQ(beside->attributes["inner"], inner);
    }
    if (name == "updates_the_trace") {
        const mt::recorded_trace* turn = nullptr;
        for (const auto& trace : came)
            if (trace.find("turn")) turn = &trace;
        EXPECT_EQ(turn->tags["inner"], "yes");
        EXPECT_EQ(turn->tags["scoped"], "yes");
    }
    const bool is_dropped = one == hook::exporter && name == "starts_a_trace"; // what an exporter starts
    if (name == "starts_and_ends_a_span") {
        const auto* const nested = find(came, "nested");
        ASSERT_TRUE(nested);
        EXPECT_EQ(nested->attributes["mlflow.spanInputs"], one == hook::redactor ? R"("[redacted]")" : R"("x")");
        EXPECT_EQ(nested->status_message, one == hook::redactor ? "[redacted]" : "a message");
    }
    if (name == "starts_a_trace") {
        EXPECT_EQ(find(came, "nested trace") != nullptr, !is_dropped);
    }
}

INSTANTIATE_TEST_SUITE_P(
    each_hook_does, user_code,
    testing::Combine(testing::Range(0, static_cast<int>(hook::last)),
                     testing::Values("throws", "records_on_the_same_span", "records_lazily_on_the_same_span",
                                     "records_on_another_span", "starts_and_ends_a_span", "starts_a_trace",
                                     "updates_the_trace", "gives_what_is_refused", "ends_the_span", "ends_the_trace",
                                     "ends_the_span_and_starts_another", "blocks", "flushes")),
    [](const auto& tried_now) {
        return std::string(hook_names[std::get<0>(tried_now.param)]) + "_" + std::get<1>(tried_now.param);
    });

} // namespace
