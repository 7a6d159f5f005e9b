// SPDX-License-Identifier: Apache-2.0
// A trace that goes on in other processes: what is sent with a request, and what is taken of it there.
#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/hmac_seal.hpp>
#include <mlflow/trace/web/propagation.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mt = mlflow::trace;

namespace {

using segment = mt::key<"app.segment">;
using local_only = mt::key<"app.local">;
using schema = mt::schema<mt::propagated<mt::required<mt::user>>, mt::propagated<mt::optional<mt::session>>,
                          mt::propagated<mt::optional<segment>>, mt::optional<local_only>>;
using tracer_type = mt::tracer<schema, mt::thread_local_context, mt::memory_exporter>;
using sealed = mt::propagator<schema, mt::hmac_seal>;
using header_map = std::multimap<std::string, std::string>;

sealed::options with_key(std::string_view key) {
    return {.hosts = {"agents.internal"}, .seal = {.key = mt::secret(key)}};
}

template <class Propagator, class Span>
header_map headers_of(const Propagator& propagator, const Span& span, std::string_view host = "agents.internal") {
    header_map headers;
    propagator.inject(span, host,
                      [&](std::string_view name, std::string_view value) { headers.emplace(name, value); });
    return headers;
}

struct errors {
    std::vector<std::pair<mt::error_kind, std::string>> told;
    static void take(void* self, const mt::error& error) noexcept {
        static_cast<errors*>(self)->told.emplace_back(error.kind(), error.about());
    }
    tracer_type::options options() { return {.on_error = &errors::take, .error_context = this}; }
};

TEST(propagation, two_services_give_one_trace_with_one_identity) {
    const sealed wire(with_key("a key"));
    errors seen;
    tracer_type first, second(seen.options());
    auto root = first.start_trace("chat", mt::user{"user-1042"}, mt::session{"s 1, \"2\"; 3+4%"}, segment{"pro"},
                                  local_only{"stays here"});
    const auto headers = headers_of(wire, root);
    EXPECT_EQ(headers.find("baggage")->second.find("stays"), std::string::npos);

    const auto request = wire.extract(headers);
    EXPECT_TRUE(request.is_trusted());
    EXPECT_EQ(request.rejected(), nullptr);
    EXPECT_EQ(request.get<mt::user>().get()->view(), "user-1042");
    EXPECT_FALSE(request.get<local_only>().has_value());
    {
        auto agent = second.start_trace("agent", request, mt::anonymous, local_only{"there"});
        EXPECT_EQ(agent.trace_id(), root.trace_id());
        auto tool = second.start_span("tool");
        EXPECT_EQ(tool.trace_id(), root.trace_id());
    }
    auto traces = second.exporter().take();
    ASSERT_EQ(traces.size(), 1U);
    EXPECT_EQ(traces[0].id, root.trace_id());
    EXPECT_EQ(traces[0].metadata["mlflow.trace.user"], "user-1042");
    EXPECT_EQ(traces[0].metadata["mlflow.trace.session"], "s 1, \"2\"; 3+4%");
    EXPECT_EQ(traces[0].metadata["app.segment"], "pro");
    EXPECT_EQ(traces[0].metadata["app.local"], "there");
    ASSERT_EQ(traces[0].spans.size(), 2U);
    ASSERT_NE(traces[0].root(), nullptr);
    EXPECT_EQ(traces[0].root()->name, "agent") << "of what happened in this process";
    const auto agent = std::ranges::find(traces[0].spans, "agent", &mt::recorded_span::name);
    EXPECT_EQ(agent->parent, root.id());
    EXPECT_TRUE(agent->links.empty());
    EXPECT_TRUE(seen.told.empty());
}

TEST(propagation, another_value_of_the_called_process_is_reported_and_changes_nothing) {
    const sealed wire(with_key("a key"));
    errors seen;
    tracer_type first, second(seen.options());
    auto root = first.start_trace("chat", mt::user{"user-1042"});
    static_cast<void>(second.start_trace("same", wire.extract(headers_of(wire, root)), mt::user{"user-1042"}));
    EXPECT_TRUE(seen.told.empty());
    static_cast<void>(second.start_trace("other", wire.extract(headers_of(wire, root)), mt::user{"user-7"}));
    ASSERT_EQ(seen.told.size(), 1U);
    EXPECT_EQ(seen.told[0], (std::pair(mt::error_kind::already_set, std::string("mlflow.trace.user"))));
    for (auto& trace : second.exporter().take()) EXPECT_EQ(trace.metadata["mlflow.trace.user"], "user-1042");
}

TEST(propagation, identity_goes_to_the_listed_hosts_alone) {
    const sealed wire(with_key("a key"));
    tracer_type tracer;
    auto root = tracer.start_trace("chat", mt::user{"user-1042"});
    for (const char* host : {"agents.internal", "AGENTS.internal:8080", "agents.internal:443"})
        EXPECT_EQ(headers_of(wire, root, host).count("baggage"), 1U) << host;
    for (const char* host :
         {"", "api.example.com", "agents.internal.example.com", "xagents.internal", "agents.internal:80:80",
          "agents.internal:80@example.com", "agents.internal:secret@example.com", "[agents.internal]:80@example.com",
          "[agents.internal]example.com", "agents.internal:80/@example.com", ":80", ":"}) {
        const auto headers = headers_of(wire, root, host);
        EXPECT_EQ(headers.count("baggage"), 0U) << host;
        EXPECT_EQ(headers.count("traceparent"), 1U) << host;
    }
    const sealed addresses({.hosts = {"::1", "[fd00::2]", "10.0.0.1:8080"}, .seal = {.key = mt::secret("a key")}});
    for (const char* host : {"::1", "[::1]", "[::1]:80", "fd00::2", "[FD00::2]:80", "10.0.0.1", "10.0.0.1:8080"})
        EXPECT_EQ(headers_of(addresses, root, host).count("baggage"), 1U) << host;
    for (const char* host : {"::2", "[::1]:80:80", "10.0.0.10", "fd00::2:1"})
        EXPECT_EQ(headers_of(addresses, root, host).count("baggage"), 0U) << host;
    const sealed everywhere({.hosts = {"*"}, .seal = {.key = mt::secret("a key")}});
    EXPECT_EQ(headers_of(everywhere, root, "anywhere").count("baggage"), 1U);
    const mt::propagator<schema> nobody({.hosts = {"*"}});
    EXPECT_EQ(headers_of(nobody, root).count("baggage"), 0U);
}

TEST(propagation, a_stranger_gives_a_link_and_no_identity) {
    const sealed wire(with_key("a key"));
    errors seen;
    tracer_type tracer(seen.options());
    const header_map headers{{"Traceparent", " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\t"},
                             {"Baggage", "mlflow.trace.user=victim"}};
    for (const auto& request : {wire.extract(headers), mt::propagator<schema>().extract(headers)}) {
        EXPECT_FALSE(request.is_trusted());
        EXPECT_EQ(request.rejected(), nullptr);
        EXPECT_FALSE(request.get<mt::user>().has_value());
        static_cast<void>(tracer.start_trace("chat", request, mt::user{"user-7"}));
    }
    auto traces = tracer.exporter().take();
    ASSERT_EQ(traces.size(), 2U);
    for (auto& trace : traces) {
        EXPECT_NE(trace.id.hex().view(), "4bf92f3577b34da6a3ce929d0e0e4736");
        EXPECT_EQ(trace.metadata["mlflow.trace.user"], "user-7");
        ASSERT_EQ(trace.spans[0].links.size(), 1U);
        EXPECT_FALSE(trace.spans[0].parent.valid());
    }
    EXPECT_TRUE(seen.told.empty());
}

TEST(propagation, the_network_is_trusted_where_it_is_said_to_be) {
    const mt::propagator<schema, mt::trust_network> wire({.hosts = {"agents.internal"}});
    tracer_type tracer;
    auto root = tracer.start_trace("chat", mt::user{"user-1042"});
    const auto headers = headers_of(wire, root);
    EXPECT_EQ(headers.find("baggage")->second, "mlflow.trace.user=user-1042");
    EXPECT_EQ(wire.extract(headers).get<mt::user>().get()->view(), "user-1042");
    auto twice = headers;
    twice.emplace("baggage", "mlflow.trace.user=user-7");
    const auto request = wire.extract(twice);
    EXPECT_FALSE(request.is_trusted());
    ASSERT_NE(request.rejected(), nullptr);
    EXPECT_EQ(request.rejected()->kind(), mt::error_kind::duplicate);
}

// One fault at a time, by a function on good headers.
TEST(propagation, what_is_forged_oversized_or_repeated_is_reported_and_the_trace_is_one_of_its_own) {
    const sealed wire(with_key("a key"));
    tracer_type sender;
    auto root = sender.start_trace("chat", mt::user{"user-1042"}, mt::session{"s-1"});
    const auto good = headers_of(wire, root);
    const std::string baggage = good.find("baggage")->second;
    const auto with = [&](std::string_view value) {
        header_map headers = good;
        headers.find("baggage")->second = value;
        return headers;
    };
    const auto replaced = [&](std::string_view from, std::string_view to) {
        std::string text = baggage;
        const auto at = text.find(from);
        return with(at == std::string::npos ? text + "no such text" : text.replace(at, from.size(), to));
    };
    std::string many;
    for (int i = 0; i < 180; ++i) many += ",k" + std::to_string(i) + "=v";
    auto other_trace = good;
    auto& parent = other_trace.find("traceparent")->second;
    parent[5] = parent[5] == 'a' ? 'b' : 'a';
    auto two_parents = good;
    two_parents.emplace("traceparent", good.find("traceparent")->second);
    auto bad_parent = good;
    bad_parent.find("traceparent")->second[2] = '_';
    auto repeated_seal = good;
    repeated_seal.emplace("baggage", baggage.substr(baggage.find("mlflow_trace.seal")));
    const std::string old_seal = "mlflow_trace.seal=1700000000" + baggage.substr(baggage.find(':'));

    const struct {
        const char* what;
        header_map headers;
        mt::error_kind fault;
        bool has_caller = true;
    } cases[] = {
        {"another user", replaced("user-1042", "user-1043"), mt::error_kind::unverified},
        {"no session", replaced(",mlflow.trace.session=s-1", ""), mt::error_kind::unverified},
        {"a name left out of the seal", replaced(":mlflow.trace.session", ""), mt::error_kind::unverified},
        {"a seal of nothing", with("mlflow_trace.seal=" + std::string("1:00")), mt::error_kind::unverified},
        {"an empty seal", with("mlflow_trace.seal="), mt::error_kind::unverified},
        {"an old seal", with(old_seal), mt::error_kind::unverified},
        {"another trace's", other_trace, mt::error_kind::unverified},
        {"a user twice", with(baggage + ",mlflow.trace.user=user-7"), mt::error_kind::unverified},
        {"a seal twice", repeated_seal, mt::error_kind::unverified},
        {"too many members", with(baggage + many), mt::error_kind::too_large},
        {"too many bytes", with(baggage + ",k=" + std::string(8192, 'v')), mt::error_kind::too_large},
        {"two parents", two_parents, mt::error_kind::duplicate, false},
        {"no parent", bad_parent, mt::error_kind::malformed, false},
    };
    EXPECT_TRUE(wire.extract(good).is_trusted());
    for (const auto& one : cases) {
        const auto request = wire.extract(one.headers);
        EXPECT_FALSE(request.is_trusted()) << one.what;
        EXPECT_FALSE(request.get<mt::user>().has_value()) << one.what;
        ASSERT_NE(request.rejected(), nullptr) << one.what;
        EXPECT_EQ(request.rejected()->kind(), one.fault) << one.what;
        EXPECT_EQ(request.caller() != nullptr, one.has_caller) << one.what;

        errors seen;
        tracer_type called(seen.options());
        static_cast<void>(called.start_trace("agent", request, mt::user{"user-7"}));
        EXPECT_EQ(seen.told.size(), 1U) << one.what;
        auto traces = called.exporter().take();
        EXPECT_NE(traces.at(0).id, root.trace_id()) << one.what;
        EXPECT_EQ(traces.at(0).metadata["mlflow.trace.user"], "user-7") << one.what;
        EXPECT_EQ(traces.at(0).spans[0].links.size(), one.has_caller ? 1U : 0U) << one.what;
    }
    const auto form = wire.extract(bad_parent).rejected()->message();
    EXPECT_NE(form.find("00-<32 digits>-<16 digits>-<2 digits>"), std::string::npos) << form;
}

// OpenTelemetry's Python package writes a space as a plus sign and escapes more; others put white space and
// properties around members, in several headers, among members of their own.
TEST(propagation, a_seal_outlives_services_that_forward_it) {
    const sealed wire(with_key("a key"));
    tracer_type tracer;
    auto root = tracer.start_trace("chat", mt::user{"Anna Maria + 2"}, mt::session{"s:1/é"});
    const auto good = headers_of(wire, root);
    std::string text = good.find("baggage")->second;
    for (std::size_t at; (at = text.find("%20")) != std::string::npos;) text.replace(at, 3, "+");
    for (std::size_t at = text.find("seal="); (at = text.find(':', at)) != std::string::npos;)
        text.replace(at, 1, "%3A");
    const auto comma = text.find(',');
    header_map forwarded{{"BAGGAGE", "theirs=1;p , " + text.substr(0, comma) + " ;some=property"},
                         {"baggage", "\t" + text.substr(comma + 1) + ",,tail=2"}};
    mt::remote_span between = *mt::remote_span::parse(good.find("traceparent")->second);
    between.id.value ^= 1; // a span of the service in between
    forwarded.emplace("traceparent", between.text().view());
    const auto request = wire.extract(forwarded);
    ASSERT_TRUE(request.is_trusted()) << (request.rejected() ? request.rejected()->message() : "");
    EXPECT_EQ(request.get<mt::user>().get()->view(), "Anna Maria + 2");
    EXPECT_EQ(request.get<mt::session>().get()->view(), "s:1/é");
    EXPECT_EQ(request.caller()->id, between.id);
}

// What OpenTelemetry's libraries for Java, JavaScript, Python and .NET pass over.
TEST(propagation, a_member_that_is_none_costs_itself) {
    const sealed wire(with_key("a key"));
    const mt::propagator<schema, mt::trust_network> network({.hosts = {"agents.internal"}});
    tracer_type tracer;
    auto root = tracer.start_trace("chat", mt::user{"user-1042"});
    for (const char* odd : {"no member", "=", "=v", "k y=v", "\"k\"=v", "k/y@z=v", ";", "\xff=v"}) {
        for (const bool is_first : {true, false}) {
            const auto with_odd = [&](header_map headers) {
                std::string& sent = headers.find("baggage")->second;
                sent = is_first ? std::string(odd) + "," + sent : sent + "," + odd;
                return headers;
            };
            const auto request = wire.extract(with_odd(headers_of(wire, root)));
            EXPECT_TRUE(request.is_trusted()) << odd;
            EXPECT_EQ(request.rejected(), nullptr) << odd << ": the seal is right";
            const auto by_network = network.extract(with_odd(headers_of(network, root)));
            EXPECT_EQ(by_network.get<mt::user>().get()->view(), "user-1042") << odd;
            ASSERT_NE(by_network.rejected(), nullptr) << odd;
            EXPECT_EQ(by_network.rejected()->kind(), mt::error_kind::malformed) << odd;
        }
    }
    // As many members as the W3C's grammar has.
    auto many = headers_of(wire, root);
    for (int i = 0; i < 178; ++i) many.find("baggage")->second += ",k" + std::to_string(i) + "=v";
    EXPECT_TRUE(wire.extract(many).is_trusted());
}

// A seal that names a long value again and again makes little of it to be signed.
struct counting_seal {
    static inline std::size_t bytes = 0;
    static std::string sign(std::string_view message) {
        bytes += message.size();
        return std::string(message.substr(0, 8));
    }
};
TEST(propagation, a_short_request_makes_little_work) {
    const mt::propagator<schema, counting_seal> wire({.hosts = {"*"}});
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    std::string seal = "mlflow_trace.seal=" + std::to_string(now) + ":00";
    for (int i = 0; i < 2000; ++i) seal += ":k";
    const header_map headers{{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
                             {"baggage", "k=" + std::string(4000, 'v') + "," + seal}};
    counting_seal::bytes = 0;
    EXPECT_EQ(wire.extract(headers).rejected()->kind(), mt::error_kind::unverified);
    EXPECT_LT(counting_seal::bytes, 100'000U);
}

struct throwing_seal {
    struct options {
        bool signs = true;
    };
    explicit throwing_seal(options chosen) : signs_(chosen.signs) {}
    [[nodiscard]] std::string sign(std::string_view message) const {
        if (!signs_) throw 42;
        return std::string(message.rbegin(), message.rend());
    }

private:
    bool signs_;
};
struct throwing_headers {
    std::vector<std::string> operator()(std::string_view name) const {
        if (name == "baggage") throw 42;
        return {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"};
    }
};
TEST(propagation, what_the_applications_code_throws_does_not_come_through) {
    using wire = mt::propagator<schema, throwing_seal>;
    const wire good({.hosts = {"*"}}), bad({.hosts = {"*"}, .seal = {.signs = false}});
    errors seen;
    tracer_type tracer(seen.options());
    auto root = tracer.start_trace("chat", mt::user{"user-1042"});
    const auto headers = headers_of(bad, root);
    EXPECT_EQ(headers.count("traceparent"), 1U);
    EXPECT_EQ(headers.count("baggage"), 0U);
    ASSERT_EQ(seen.told.size(), 1U);
    EXPECT_EQ(seen.told[0].first, mt::error_kind::callback_failed);

    const auto unproven = bad.extract(headers_of(good, root));
    EXPECT_FALSE(unproven.is_trusted());
    EXPECT_EQ(unproven.rejected()->kind(), mt::error_kind::unverified);
    const auto unread = good.extract(throwing_headers{});
    EXPECT_FALSE(unread.is_trusted());
    EXPECT_NE(unread.caller(), nullptr);
    EXPECT_NE(unread.rejected(), nullptr);
    // A setter is called by the application, and its exception is the application's.
    EXPECT_THROW(good.inject(root, "h", [](std::string_view, std::string_view) { throw 42; }), int);
}

// Whatever the order of the arguments, and whoever made the other header.
TEST(propagation, a_span_that_is_named_besides_is_a_link_alone) {
    const sealed wire(with_key("a key"));
    tracer_type first, second;
    auto root = first.start_trace("chat", mt::user{"user-1042"});
    const auto request = wire.extract(headers_of(wire, root));
    const auto other = mt::remote_span::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").value();
    static_cast<void>(second.start_trace("agent", request, other, mt::anonymous));
    static_cast<void>(second.start_trace("agent", other, request, mt::anonymous));
    const auto traces = second.exporter().take();
    ASSERT_EQ(traces.size(), 2U) << "the caller records";
    for (const auto& trace : traces) {
        EXPECT_EQ(trace.id, root.trace_id());
        ASSERT_EQ(trace.spans[0].links.size(), 1U);
        EXPECT_EQ(trace.spans[0].links[0].trace_id, other.trace_id);
    }
}

TEST(propagation, a_receiver_with_other_keys_takes_what_it_knows) {
    using narrow = mt::schema<mt::propagated<mt::required<mt::user>>>;
    const sealed wire(with_key("a key"));
    const mt::propagator<narrow, mt::hmac_seal> other({.hosts = {"*"}, .seal = {.key = mt::secret("a key")}});
    tracer_type tracer;
    auto root = tracer.start_trace("chat", mt::user{"user-1042"}, segment{"pro"});
    const auto request = other.extract(headers_of(wire, root));
    EXPECT_TRUE(request.is_trusted());
    EXPECT_EQ(request.get<mt::user>().get()->view(), "user-1042");
    EXPECT_FALSE(request.get<segment>().has_value());

    using strict_segment = mt::key<"app.segment", mt::one_of<"free", "basic">>;
    using strict = mt::schema<mt::propagated<mt::optional<strict_segment>>, mt::propagated<mt::optional<mt::user>>>;
    const mt::propagator<strict, mt::hmac_seal> checking({.seal = {.key = mt::secret("a key")}});
    const auto checked = checking.extract(headers_of(wire, root));
    EXPECT_TRUE(checked.is_trusted()) << "one value costs itself";
    EXPECT_FALSE(checked.get<strict_segment>().has_value());
    EXPECT_EQ(checked.get<mt::user>().get()->view(), "user-1042");
    EXPECT_EQ(checked.rejected()->kind(), mt::error_kind::not_allowed);
}

TEST(propagation, keys_can_be_changed_without_a_gap) {
    tracer_type tracer;
    auto root = tracer.start_trace("chat", mt::user{"user-1042"});
    const auto by_old = headers_of(sealed(with_key("old")), root);
    auto both = with_key("new");
    both.seal.also_taken = {mt::secret("older"), mt::secret("old")};
    EXPECT_TRUE(sealed(both).extract(by_old).is_trusted());
    EXPECT_FALSE(sealed(with_key("new")).extract(by_old).is_trusted());
    EXPECT_FALSE(sealed(with_key("")).extract(headers_of(sealed(with_key("")), root)).is_trusted())
        << "no key, no trust";
}

struct own_seal { // a function of the application's, without `verify`
    static std::string sign(std::string_view message) { return std::string(message.rbegin(), message.rend()); }
};
TEST(propagation, a_seal_may_be_the_applications_own) {
    const mt::propagator<schema, own_seal> wire({.hosts = {"*"}});
    tracer_type tracer;
    auto root = tracer.start_trace("chat", mt::user{"user-1042"});
    auto headers = headers_of(wire, root);
    EXPECT_TRUE(wire.extract(headers).is_trusted());
    headers.find("baggage")->second += "0";
    EXPECT_FALSE(wire.extract(headers).is_trusted());
}

TEST(propagation, tracestate_goes_along_with_the_trace) {
    const sealed wire(with_key("a key"));
    tracer_type first, second;
    auto root = first.start_trace("chat", mt::user{"user-1042"});
    auto headers = headers_of(wire, root);
    headers.emplace("tracestate", "vendor=1");
    headers.emplace("tracestate", " other=2 ");
    auto agent = second.start_trace("agent", wire.extract(headers), mt::anonymous);
    EXPECT_EQ(headers_of(wire, agent).find("tracestate")->second, "vendor=1,other=2");
    headers.find("tracestate")->second = std::string(600, 'x');
    auto shorter = second.start_trace("agent", wire.extract(headers), mt::anonymous, mt::nested);
    EXPECT_EQ(headers_of(wire, shorter).find("tracestate")->second, "other=2");
}

// A text that is gone as soon as its reader has seen it, as what a look-up returns by value is.
struct wiped_text {
    std::string& text;
    bool is_there;
    ~wiped_text() { std::ranges::fill(text, 'x'); }
    [[nodiscard]] const char* data() const { return is_there ? text.data() : nullptr; }
    [[nodiscard]] std::size_t size() const { return is_there ? text.size() : 0; }
};
TEST(propagation, what_a_look_up_returns_may_be_gone_after_it) {
    const sealed wire(with_key("a key"));
    const mt::propagator<schema, mt::trust_network> network({.hosts = {"agents.internal"}});
    tracer_type tracer;
    auto root = tracer.start_trace("chat", mt::user{"user-1042"}, mt::session{"s-1"});
    const auto check = [&](const auto& by) {
        const auto headers = headers_of(by, root);
        std::string text;
        const auto request = by.extract([&](std::string_view name) {
            const auto found = headers.find(std::string(name));
            text = found == headers.end() ? "" : found->second;
            return wiped_text{text, found != headers.end()};
        });
        EXPECT_TRUE(request.is_trusted()) << (request.rejected() ? request.rejected()->message() : "");
        EXPECT_EQ(request.metadata("mlflow.trace.user"), "user-1042");
        EXPECT_EQ(request.metadata("mlflow.trace.session"), "s-1");
        const auto of_all = by.extract([&](std::string_view name) {
            std::vector<std::string> values;
            for (const auto& [own, value] : headers)
                if (own == name) values.push_back(value);
            return values;
        });
        EXPECT_EQ(of_all.metadata("mlflow.trace.user"), "user-1042");
    };
    check(wire);
    check(network);
}

TEST(propagation, a_rejected_value_is_reported_with_its_place) {
    const mt::propagator<schema, mt::trust_network> wire;
    const struct {
        const char* value;
        mt::error_kind kind;
        std::size_t at;
    } cases[] = {{"ab%00", mt::error_kind::control_character, 2},
                 {"abc%0a", mt::error_kind::control_character, 3},
                 {"a%E2%82", mt::error_kind::invalid_utf8, 1},
                 {"%C0%80", mt::error_kind::invalid_utf8, 0}};
    for (const auto& one : cases) {
        const header_map headers{{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
                                 {"baggage", std::string("mlflow.trace.user=") + one.value}};
        const auto request = wire.extract(headers);
        EXPECT_FALSE(request.get<mt::user>().has_value()) << one.value;
        ASSERT_NE(request.rejected(), nullptr) << one.value;
        EXPECT_EQ(request.rejected()->kind(), one.kind) << one.value;
        EXPECT_EQ(request.rejected()->actual(), one.at) << one.value;
    }
    // What begins no escape stands for itself.
    for (const char* const value : {"%", "a%", "%4", "%zz", "%u00e9", "50%+1"}) {
        const header_map headers{{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
                                 {"baggage", std::string("mlflow.trace.user=") + value}};
        EXPECT_EQ(wire.extract(headers).get<mt::user>().get()->view(), value);
    }
}

// W3C Trace Context, 3.3.1.5: whole members go, those of over 128 characters first, then from the end.
TEST(propagation, a_long_tracestate_loses_whole_members) {
    const mt::propagator<schema, mt::trust_network> wire({.hosts = {"agents.internal"}});
    tracer_type tracer;
    const auto sent_on = [&](const std::vector<std::string>& given) {
        header_map headers{{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}};
        for (const auto& one : given) headers.emplace("tracestate", one);
        auto trace = tracer.start_trace("agent", wire.extract(headers), mt::anonymous);
        const auto sent = headers_of(wire, trace);
        return sent.count("tracestate") != 0 ? sent.find("tracestate")->second : std::string("none");
    };
    const auto member = [](const char* key, std::size_t size) {
        return std::string(key) + "=" + std::string(size - std::string_view(key).size() - 1, 'v');
    };
    const std::string a = member("a", 128), b = member("b", 127), c = member("c", 127), d = member("d", 127);
    const std::string full = a + "," + b + "," + c + "," + d; // of 512 characters
    EXPECT_EQ(sent_on({full}), full);
    EXPECT_EQ(sent_on({full + ",e=1"}), full);
    EXPECT_EQ(sent_on({"e=1," + full}), "e=1," + a + "," + b + "," + c);
    const std::string large = member("l", 200);
    EXPECT_EQ(sent_on({large + "," + full}), full);
    EXPECT_EQ(sent_on({full, large}), full);
    EXPECT_EQ(sent_on({a, large, b, c, d}), full);
    EXPECT_EQ(sent_on({large, member("m", 200), member("n", 200)}), member("m", 200) + "," + member("n", 200))
        << "no more goes than must";
    EXPECT_EQ(sent_on({member("l", 512)}), member("l", 512));
    EXPECT_EQ(sent_on({member("l", 513)}), "none");
    EXPECT_EQ(sent_on({full, std::string(10'000, 'x')}), "none");

    std::string many = "k=0", most;
    for (int i = 1; i < 40; ++i) {
        if (i == 32) most = many;
        many += ",k" + std::to_string(i) + "=" + std::to_string(i);
    }
    EXPECT_EQ(sent_on({many}), most) << "at most 32 members";
    for (const char* const odd : {"b=2,a=1", "a=1 ,\tb=2", ",a=1", "a=1,,b=2,c", "t@v=*x/y-_=~!"})
        EXPECT_EQ(sent_on({odd}), odd);
}

struct counting_ids : mt::hosted_platform {
    static constexpr bool has_random_trace_ids = false;
    static mt::trace_id new_trace_id() noexcept { return {1, 2}; }
};

// W3C Trace Context, level 2: "If the flag is set in the incoming traceparent header, it MUST also be set in all
// outgoing traceparent headers which use the same trace-id", and if it is unset, it must be unset.
TEST(propagation, says_of_an_id_that_it_is_random_where_it_is) {
    using network = mt::propagator<schema, mt::trust_network>;
    const network wire({.hosts = {"agents.internal"}});
    const auto flags = [&](const auto& span) {
        return headers_of(wire, span).find("traceparent")->second.substr(53);
    };
    tracer_type tracer;
    {
        auto own = tracer.start_trace("chat", mt::anonymous);
        EXPECT_EQ(flags(own), "03");
        EXPECT_EQ(flags(tracer.start_span("inside")), "03");
        EXPECT_EQ(own.remote().text().view().substr(53), "03");
    }
    for (const char* const given : {"01", "03", "05", "ff"}) {
        const header_map request{
            {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-" + std::string(given)}};
        const bool is_random = (given[1] & 2) != 0;
        auto continued = tracer.start_trace("agent", wire.extract(request), mt::anonymous);
        ASSERT_EQ(continued.trace_id().hex().view(), "4bf92f3577b34da6a3ce929d0e0e4736");
        EXPECT_EQ(flags(continued), is_random ? "03" : "01") << given;
        EXPECT_EQ(flags(tracer.start_span("inside")), is_random ? "03" : "01") << given;
    }
    const header_map of_a_stranger{{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}};
    EXPECT_EQ(flags(tracer.start_trace("linked", mt::propagator<schema>().extract(of_a_stranger), mt::anonymous)),
              "03")
        << "its ID is a new one";
    mt::tracer<schema, mt::thread_local_context, mt::memory_exporter, mt::record_ratio> never(
        {.recording = {.ratio = 0}});
    EXPECT_EQ(flags(never.start_trace("unsampled", mt::anonymous)), "02");
    mt::tracer<schema, mt::thread_local_context, mt::memory_exporter, mt::record_all, counting_ids> counted;
    EXPECT_EQ(flags(counted.start_trace("chat", mt::anonymous)), "01");
}

TEST(propagation, a_trace_that_is_not_sampled_is_not_recorded_elsewhere_either) {
    using sampled = mt::tracer<schema, mt::thread_local_context, mt::memory_exporter, mt::record_ratio>;
    const sealed wire(with_key("a key"));
    sampled never({.recording = {.ratio = 0}});
    auto root = never.start_trace("chat", mt::user{"user-1042"});
    auto child = never.start_span("inside");
    auto by_hand = root.start_span("by hand");
    for (const auto& headers : {headers_of(wire, root), headers_of(wire, child), headers_of(wire, by_hand)}) {
        const auto request = wire.extract(headers);
        ASSERT_NE(request.caller(), nullptr);
        EXPECT_FALSE(request.caller()->is_sampled);
        EXPECT_TRUE(request.is_trusted()) << "the sender proves that it does not record";
        EXPECT_EQ(headers.find("baggage")->second.find("user"), std::string::npos);
        tracer_type called;
        EXPECT_FALSE(called.start_trace("agent", request, mt::user{"user-7"}).recording());
    }
    for (const auto& headers : {headers_of(wire, root, "elsewhere"), headers_of(mt::propagator<schema>(), root)}) {
        EXPECT_EQ(headers.count("baggage"), 0U);
        mt::tracer<schema, mt::thread_local_context, mt::memory_exporter, mt::parent_based<>> called;
        EXPECT_FALSE(called.start_trace("agent", wire.extract(headers), mt::user{"user-7"}).recording());
    }
    const mt::propagator<schema, mt::trust_network> network({.hosts = {"agents.internal"}});
    tracer_type called_by_network;
    EXPECT_FALSE(called_by_network.start_trace("agent", network.extract(headers_of(network, root)), mt::anonymous)
                     .recording());
    // From a sender that is trusted, no sampler is asked.
    tracer_type first;
    auto recorded = first.start_trace("chat", mt::user{"user-1042"});
    auto headers = headers_of(wire, recorded);
    sampled called({.recording = {.ratio = 0}});
    EXPECT_TRUE(called.start_trace("agent", wire.extract(headers), mt::anonymous).recording());
    headers.find("traceparent")->second.back() = '0';
    tracer_type all;
    EXPECT_FALSE(all.start_trace("agent", wire.extract(headers), mt::anonymous).recording());

    sampled off({.enabled = false});
    EXPECT_TRUE(headers_of(wire, off.start_trace("chat", mt::user{"user-1042"})).empty());
    mt::tracer<schema, mt::thread_local_context, mt::memory_exporter, mt::record_nothing> nothing;
    EXPECT_TRUE(headers_of(wire, nothing.start_trace("chat", mt::user{"user-1042"})).empty());
}

TEST(propagation, after_the_end_of_the_trace_only_the_span_is_named) {
    const sealed wire(with_key("a key"));
    tracer_type tracer;
    auto root = tracer.start_trace("chat", mt::user{"user-1042"});
    auto late = root.start_span("late");
    root.end();
    const auto headers = headers_of(wire, late);
    EXPECT_EQ(headers.count("traceparent"), 1U);
    EXPECT_EQ(headers.count("baggage"), 0U);
}

TEST(propagation, values_over_the_limit_of_baggage_stay_and_are_reported) {
    using wide = mt::schema<mt::propagated<mt::required<mt::user>>, mt::propagated<mt::optional<mt::session>>,
                            mt::propagated<mt::optional<segment>>, mt::propagated<mt::optional<local_only>>>;
    errors seen;
    mt::tracer<wide, mt::thread_local_context, mt::memory_exporter> tracer(
        {.on_error = &errors::take, .error_context = &seen});
    std::string smileys;
    for (int i = 0; i < 250; ++i) smileys += "😀"; // 12 characters each, encoded
    auto root = tracer.start_trace("chat", mt::user::parse(smileys).value(), mt::session::parse(smileys).value(),
                                   segment::parse(smileys).value());
    const mt::propagator<wide, mt::hmac_seal> wire({.hosts = {"*"}, .seal = {.key = mt::secret("a key")}});
    const auto headers = headers_of(wire, root);
    EXPECT_EQ(headers.count("baggage"), 0U);
    EXPECT_EQ(headers.count("traceparent"), 1U);
    ASSERT_EQ(seen.told.size(), 1U);
    EXPECT_EQ(seen.told[0].first, mt::error_kind::too_large);
}

// Any value comes out as it went in; any change of a byte of what was sent gives no other identity.
TEST(propagation, random_values_and_random_changes) {
    const char* const given = std::getenv("MLFLOW_TRACE_SEED");
    const auto seed = given ? std::strtoul(given, nullptr, 10) : std::random_device{}();
    SCOPED_TRACE("MLFLOW_TRACE_SEED=" + std::to_string(seed));
    std::mt19937 random(static_cast<unsigned>(seed));
    const sealed wire(with_key("a key"));
    const auto text = [&] {
        static const char* const pieces[] = {"a", "Z", "0",  " ",  "%", "+",  ",",   ";",
                                             "=", ":", "\"", "\\", "é", "😀", "%41", "-"};
        std::string made;
        for (auto left = 1 + random() % 12; left > 0; --left) made += pieces[random() % std::size(pieces)];
        return made;
    };
    for (int round = 0; round < 2000; ++round) {
        tracer_type tracer;
        const auto user = mt::user::parse(text()).value();
        const auto session = mt::session::parse(text()).value();
        auto root = tracer.start_trace("chat", user, session);
        auto headers = headers_of(wire, root);
        const auto request = wire.extract(headers);
        ASSERT_TRUE(request.is_trusted()) << user.view() << " | " << session.view();
        ASSERT_EQ(request.get<mt::user>().get()->view(), user.view());
        ASSERT_EQ(request.get<mt::session>().get()->view(), session.view());

        std::string& sent = headers.find("baggage")->second;
        const std::size_t at = random() % sent.size();
        switch (random() % 3) {
        case 0: sent[at] = static_cast<char>(random() % 256); break;
        case 1: sent.erase(at, 1 + random() % 8); break;
        default: sent.insert(at, 1, static_cast<char>(random() % 256));
        }
        const auto changed = wire.extract(headers);
        if (!changed.is_trusted()) continue;
        const auto same_or_none = [](const auto& value, const auto& own) {
            return !value.get() || *value.get() == own;
        };
        ASSERT_TRUE(same_or_none(changed.get<mt::user>(), user)) << sent;
        ASSERT_TRUE(same_or_none(changed.get<mt::session>(), session)) << sent;
    }
}

} // namespace
