// SPDX-License-Identifier: Apache-2.0
// A tracer with fixed memory records the same as the other one, whatever is recorded in whatever order.
#include "static_tracers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace mt = mlflow::trace;
using static_memory_tests::board;

namespace {

struct decoding {
    struct options {
        std::vector<mt::recorded_trace>* into = nullptr;
    };
    explicit decoding(options chosen) : into(chosen.into) {}
    mt::export_result export_traces(mt::trace_batch& batch) const {
        for (const mt::trace_data& trace : batch) into->push_back(mt::decode(trace));
        mt::export_result outcome;
        outcome.exported_spans = batch.span_count();
        return outcome;
    }
    std::vector<mt::recorded_trace>* into;
};

using full = mt::tracer<mt::open_schema, mt::global_context, decoding>;
using fixed = static_memory_tests::static_tracer<mt::static_sizes{.traces = 4, .spans = 60, .bytes = 16'383}>;

// The other tracer replaces invalid UTF-8 of previews when it exports.
std::string cleaned(std::string_view text) {
    mt::detail::buffer clean;
    EXPECT_TRUE(mt::detail::append_utf8(clean, text));
    return std::string(clean.view());
}

// Everything that is recorded, without IDs and times. The name of each span is unique.
std::string described(const mt::recorded_trace& trace) {
    std::map<std::uint64_t, std::string> names;
    for (const auto& span : trace.spans) names[span.id.value] = span.name;
    std::map<std::string, std::string> spans;
    const auto list = [](std::string& text, const mt::recorded_values& values) {
        for (const auto& [key, value] : values) text += "  " + key + "=" + value + "\n";
    };
    for (const auto& span : trace.spans) {
        std::string text = "span " + span.name + " in " + names[span.parent.value] + ", " +
                           std::to_string(static_cast<int>(span.code)) + " " + span.status_message + "\n";
        EXPECT_LE(span.start_unix_nano, span.end_unix_nano);
        list(text, span.attributes);
        for (const auto& event : span.events) list(text += " event " + event.name + "\n", event.attributes);
        for (const auto& link : span.links)
            list(text +=
                 " link " + std::string(link.trace_id.hex().view()) + " " + std::string(link.id.hex().view()) + "\n",
                 link.attributes);
        spans[span.name] = text;
    }
    std::string text =
        "id " + trace.client_request_id + ", " + cleaned(trace.request_preview) + ", " + trace.response_preview;
    text += trace.root() ? ", root " + trace.root()->name + "\n" : ", no root\n";
    list(text, trace.metadata);
    std::map<std::string, std::string> tags(trace.tags.begin(), trace.tags.end()); // in any order
    for (const auto& [key, value] : tags) text += "  tag " + key + "=" + value + "\n";
    for (const auto& [name, span] : spans) text += span;
    return text;
}

class choices {
public:
    explicit choices(std::uint64_t seed) : random_(seed) {}

    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    std::string text() {
        static constexpr std::string_view pieces[] = {"plain",
                                                      "\"",
                                                      "\\",
                                                      "\n",
                                                      std::string_view("\0", 1),
                                                      "\x1f",
                                                      "\x7f",
                                                      "ä",
                                                      "€",
                                                      "\U0001F600",
                                                      "\xff",
                                                      "\xc3",
                                                      "\xe2\x82",
                                                      "\xf0\x9f\x98",
                                                      "\xed\xa0\x80",
                                                      "\xc0\xaf",
                                                      "{}",
                                                      "12",
                                                      " ",
                                                      "\xf4\x90\x80\x80",
                                                      "\xe0\x9f\x80"};
        std::string text;
        for (std::uint64_t i = below(6); i > 0; --i) text += pieces[below(std::size(pieces))];
        if (below(20) == 0) text.append(below(400), 'x');
        return text;
    }

private:
    std::mt19937_64 random_;
};

// One random call on a span; the same for both tracers, because `with` is made from the same seed.
template <class Span>
void record(Span& span, choices with) {
    static constexpr std::array<std::string_view, 6> keys = {"a", "app.key",        "user.id", "mlflow.model",
                                                             "",  "mlflow.spanType"};
    const std::string text = with.text();
    const std::string key = with.below(4) == 0 ? with.text() : std::string(keys[with.below(keys.size())]);
    switch (with.below(25)) {
    case 0: span.attribute(key, text); break;
    case 1: span.attribute(key, std::string_view(text)); break;
    case 2: span.attribute(key, static_cast<int>(with.below(1U << 31U))); break;
    case 3: span.attribute(key, -static_cast<std::int64_t>(with.below(std::uint64_t{1} << 62U))); break;
    case 4: span.attribute(key, with.below(2) == 0 ? ~std::uint64_t{0} : with.below(1'000)); break;
    case 5: span.attribute(key, with.below(2) == 0); break;
    case 6: span.attribute(key, 0.1 * static_cast<double>(with.below(100))); break;
    case 7: span.attribute(key, std::vector<std::string>{text, with.text()}); break;
    case 8: span.attribute(key, [&] { return text; }); break;
    case 9: span.template attribute<"app.fixed">(static_cast<unsigned>(with.below(5'000'000'000))); break;
    case 10: span.inputs(mt::arg("a", text), mt::arg(key, with.below(10)), mt::arg("none", nullptr)); break;
    case 11: span.inputs(text); break;
    case 12: span.outputs(std::map<std::string, std::vector<int>>{{text, {1, -2}}, {"b", {}}}); break;
    case 13: span.outputs(static_cast<std::int64_t>(with.below(1'000))); break;
    case 14:
        span.event(text, mt::arg("a", with.text()), mt::arg("n", 1), mt::arg("list", std::vector<int>{1}));
        break;
    case 15: span.chunk(text); break;
    case 16: span.type(with.below(2) == 0 ? mt::span_type::tool : mt::span_type(std::string_view("OWN"))); break;
    case 17: span.model("m").provider("p"); break;
    case 18:
        span.usage({.input = with.below(100),
                    .output = with.below(std::uint64_t{1} << 40U),
                    .cache_read = with.below(3),
                    .cache_creation = with.below(3) == 0 ? ~std::uint64_t{0} : 0});
        break;
    case 19: span.cost({.input = 0.25, .output = with.below(4) == 0 ? HUGE_VAL : 0.5}); break;
    case 20: span.level(mt::log_level::warning); break;
    case 21: span.link({1, with.below(100)}, {7}, mt::arg("why", text)); break;
    case 22: span.set_status(with.below(3) == 0 ? mt::status::ok : mt::status::error, text); break;
    case 23: span.set_status(with.below(3) == 0 ? mt::status::ok : mt::status::error); break;
    default: span.exception("type", text); break;
    }
}

template <class Trace>
void describe(Trace& trace, choices with) {
    const std::string text = with.text();
    const auto user = mt::user::parse(text);
    switch (with.below(5)) {
    case 0:
        if (user.has_value()) static_cast<void>(trace.set(*user));
        else static_cast<void>(trace.set(mt::anonymous));
        break;
    case 1: static_cast<void>(trace.set(mt::tag{"t", text}, mt::tag{"u", "1"})); break;
    case 2: static_cast<void>(trace.metadata(with.below(2) == 0 ? "app.a" : "app.b", text)); break;
    case 3: trace.previews(text, "r"); break;
    default: static_cast<void>(trace.set(mt::client_request_id{"id"}, mt::session{"s"})); break;
    }
}

// Records the same on one tracer as on another one of the same seed.
template <class Tracer>
void play(Tracer& tracer, std::uint64_t seed) {
    choices with(seed);
    std::vector<std::unique_ptr<typename Tracer::span>> spans;
    std::optional<typename Tracer::trace> trace(tracer.start_trace("root", mt::user{"first"}));
    int named = 0;
    for (std::uint64_t step = 5 + with.below(40); step > 0; --step) {
        const std::uint64_t what = with.below(10);
        const std::uint64_t next = with.below(~std::uint64_t{0});
        const auto at = spans.empty() ? 0 : with.below(spans.size());
        if (what < 2) {
            const std::string name = with.text() + std::to_string(++named);
            auto started = what == 0 || spans.empty() ? tracer.start_span(name, mt::span_type::llm)
                                                      : spans[at]->start_span(name);
            spans.push_back(std::make_unique<typename Tracer::span>(std::move(started)));
        } else if (what == 2 && !spans.empty()) {
            spans.erase(spans.begin() + static_cast<std::ptrdiff_t>(at));
        } else if (what == 3) {
            describe(*trace, choices(next));
        } else if (what < 6 || spans.empty()) {
            record(*trace, choices(next));
        } else {
            record(*spans[at], choices(next));
        }
    }
    if (with.below(2) == 0) trace.reset();
    while (!spans.empty()) spans.erase(spans.begin() + static_cast<std::ptrdiff_t>(with.below(spans.size())));
}

std::uint64_t number_of_runs() {
    const char* const runs = std::getenv("MLFLOW_TRACE_PARITY_RUNS");
    return runs ? std::strtoull(runs, nullptr, 10) : 1'000;
}

template <class Tracer>
void play_without_room(std::uint64_t seed) {
    std::vector<mt::recorded_trace> kept;
    Tracer tracer(typename Tracer::options{.exporter = {.into = &kept, .room = nullptr}});
    for (std::uint64_t i = 0; i < 3; ++i) play(tracer, seed + i);
    std::size_t spans = 0;
    for (const mt::recorded_trace& trace : kept) {
        spans += trace.spans.size();
        for (const auto& span : trace.spans) EXPECT_EQ(span.parent.valid(), &span != trace.root()) << span.name;
        EXPECT_EQ(trace.metadata["mlflow.trace.user"], trace.root()->name == "root" ? "first" : "");
    }
    const mt::span_account account = tracer.account();
    EXPECT_EQ(account.open, 0U);
    EXPECT_EQ(account.exported, spans);
    EXPECT_EQ(account.started, spans + account.dropped);
}

// What does not fit is left out and counted, and damages nothing else.
TEST(StaticMemoryParity, LeavesOutWhatDoesNotFitAtRandom) {
    const std::uint64_t first = std::random_device{}();
    for (std::uint64_t seed = first; seed < first + number_of_runs() && !HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        play_without_room<static_memory_tests::static_tracer<mt::static_sizes{.spans = 1, .bytes = 100}>>(seed);
        play_without_room<
            static_memory_tests::static_tracer<mt::static_sizes{.traces = 3, .spans = 5, .bytes = 300}>>(seed);
        play_without_room<
            static_memory_tests::static_tracer<mt::static_sizes{.traces = 1, .spans = 9, .bytes = 900}>>(seed);
        board::reports.clear();
    }
}

TEST(StaticMemoryParity, RecordsTheSameAtRandom) {
    const std::uint64_t runs = number_of_runs();
    const std::uint64_t first = std::random_device{}();
    for (std::uint64_t seed = first; seed < first + runs && !HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::vector<mt::recorded_trace> of_full, of_fixed;
        std::vector<std::pair<mt::error_kind, std::string>> faults;
        {
            full::options chosen{.exporter = {&of_full}};
            chosen.error_context = &faults;
            chosen.on_error = [](void* into, const mt::error& error) noexcept {
                static_cast<decltype(faults)*>(into)->emplace_back(error.kind(), error.about());
            };
            full tracer(std::move(chosen));
            play(tracer, seed);
        }
        board::reports.clear();
        {
            fixed tracer(fixed::options{.exporter = {.into = &of_fixed, .room = nullptr}});
            play(tracer, seed);
            EXPECT_EQ(tracer.account().open, 0U);
        }
        EXPECT_EQ(board::reports, faults);
        // The other tracer exports spans that end after the root apart from it.
        mt::recorded_trace joined = of_full.at(0);
        for (std::size_t i = 1; i < of_full.size(); ++i)
            joined.spans.insert(joined.spans.end(), of_full[i].spans.begin(), of_full[i].spans.end());
        ASSERT_EQ(of_fixed.size(), 1U);
        EXPECT_EQ(described(of_fixed[0]), described(joined));
    }
}

struct not_hidden {
    static bool sample(const mt::trace_start& start) noexcept { return !start.name.starts_with("hidden"); }
};

// Traces inside each other, or in place of each other, some of them not recorded, that end in any order; what is
// current decides where spans and values go.
template <class Tracer>
void nest(Tracer& tracer, std::uint64_t seed) {
    choices with(seed);
    std::vector<std::unique_ptr<typename Tracer::trace>> traces;
    std::vector<std::unique_ptr<typename Tracer::span>> spans;
    int named = 0;
    const auto take = [&with](auto& from) {
        if (!from.empty()) from.erase(from.begin() + static_cast<std::ptrdiff_t>(with.below(from.size())));
    };
    for (std::uint64_t step = 5 + with.below(30); step > 0; --step) {
        const std::string number = std::to_string(++named);
        const auto user = mt::user::parse("user-" + number);
        switch (with.below(8)) {
        case 0:
        case 1: {
            const std::string name = (with.below(3) == 0 ? "hidden" : "trace") + number;
            auto started =
                traces.empty() ? tracer.start_trace(name, *user) : tracer.start_trace(name, *user, mt::nested);
            traces.push_back(std::make_unique<typename Tracer::trace>(std::move(started)));
            break;
        }
        case 2:
            if (traces.size() == 1) *traces[0] = tracer.start_trace("replaced" + number, *user);
            break;
        case 3:
        case 4: spans.push_back(std::make_unique<typename Tracer::span>(tracer.start_span("span" + number))); break;
        case 5: take(traces); break;
        case 6: take(spans); break;
        default:
            if (!traces.empty())
                spans.push_back(std::make_unique<typename Tracer::span>(
                    traces[with.below(traces.size())]->start_span("child" + number)));
            break;
        }
        if (traces.size() > 5) take(traces);
    }
    while (!spans.empty() || !traces.empty()) with.below(2) == 0 ? take(traces) : take(spans);
}

std::multiset<std::string> described(const std::vector<mt::recorded_trace>& parts) {
    std::map<std::string, mt::recorded_trace> traces;
    for (const mt::recorded_trace& part : parts) {
        auto& whole = traces[std::string(part.id.hex().view())];
        auto spans = std::move(whole.spans);
        if (part.has_root || spans.empty()) {
            whole = part;
            whole.spans.insert(whole.spans.end(), spans.begin(), spans.end());
        } else {
            whole.spans = std::move(spans);
            whole.spans.insert(whole.spans.end(), part.spans.begin(), part.spans.end());
        }
    }
    std::multiset<std::string> texts;
    for (const auto& [id, trace] : traces) texts.insert(described(trace));
    return texts;
}

TEST(StaticMemoryParity, NestsTheSameAtRandom) {
    using full_sampled = mt::tracer<mt::open_schema, mt::global_context, decoding, not_hidden>;
    using fixed_sampled =
        static_memory_tests::static_tracer<mt::static_sizes{.traces = 60, .spans = 60, .bytes = 4'000},
                                           mt::global_context, mt::open_schema, not_hidden>;
    std::uint64_t compared = 0;
    const std::uint64_t first = std::random_device{}();
    for (std::uint64_t seed = first; seed < first + number_of_runs() && !HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::vector<mt::recorded_trace> of_full, of_fixed;
        std::vector<std::pair<mt::error_kind, std::string>> faults;
        {
            full_sampled::options chosen{.exporter = {&of_full}};
            chosen.error_context = &faults;
            chosen.on_error = [](void* into, const mt::error& error) noexcept {
                static_cast<decltype(faults)*>(into)->emplace_back(error.kind(), error.about());
            };
            full_sampled tracer(std::move(chosen));
            nest(tracer, seed);
        }
        {
            auto tracer = std::make_unique<fixed_sampled>(
                fixed_sampled::options{.exporter = {.into = &of_fixed, .room = nullptr}});
            nest(*tracer, seed);
            EXPECT_EQ(tracer->account().open, 0U);
        }
        // Traces that end in another order than that of their starts count as interleaved, if something is recorded
        // by context meanwhile. The other tracer notices more of these orders.
        const auto is_interleaved = [](const auto& fault) { return fault.first == mt::error_kind::interleaved; };
        faults.insert(faults.end(), board::reports.begin(), board::reports.end());
        board::reports.clear();
        if (std::any_of(faults.begin(), faults.end(), is_interleaved)) continue;
        ++compared;
        EXPECT_EQ(described(of_fixed), described(of_full));
    }
    EXPECT_GT(compared, number_of_runs() / 20);
}

} // namespace
