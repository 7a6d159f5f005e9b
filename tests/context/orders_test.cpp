// SPDX-License-Identifier: Apache-2.0
// What is current on a thread, when its spans, scopes and attached contexts are not the local variables that end in
// reverse order.
#include "support/reports.hpp"
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <malloc.h>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <ucontext.h>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter>;
using scope_type = mt::basic_scope<mt::thread_local_context>;
using attached_type = mt::attached_context<mt::thread_local_context>;

class orders : public testing::Test {
public:
    // The user of the trace of each span.
    std::map<std::string, std::string> users() {
        std::map<std::string, std::string> found;
        for (const auto& trace : tracer.exporter().take())
            for (const auto& span : trace.spans) found[span.name] = trace.metadata["mlflow.trace.user"];
        return found;
    }
    tracer_type::trace start(const char* user) {
        return tracer.start_trace(user, *mt::user::parse(user), mt::no_session);
    }
    std::string user_now() {
        const std::string name = "probe " + std::to_string(++probes);
        {
            auto probe = tracer.start_span(name);
        }
        return users().at(name);
    }

    support::reports reports;
    tracer_type tracer{{.on_error = &support::reports::add, .error_context = &reports}};
    int probes = 0;
};

TEST_F(orders, attached_contexts_that_end_in_the_order_in_which_they_began) {
    struct handler {
        explicit handler(const mt::captured_context<>& captured) : attached(captured.attach()) {}
        attached_type attached;
    };
    const auto begin = [this](const char* user, tracer_type::trace& keep) {
        const auto apart = mt::captured_context<>{}.attach();
        keep = start(user);
        return mt::capture();
    };
    {
        tracer_type::trace alice;
        tracer_type::trace bob;
        auto of_alice = std::make_unique<handler>(begin("alice", alice));
        auto of_bob = std::make_unique<handler>(begin("bob", bob));
        alice.end();
        of_alice.reset();
        EXPECT_NE(user_now(), "alice");
        bob.end();
        of_bob.reset();
    }
    EXPECT_FALSE(mt::current_trace_id().valid());
    tracer_type::trace carol;
    const auto elsewhere = begin("carol", carol);
    EXPECT_EQ(user_now(), "");
    carol.end();
}

TEST_F(orders, attached_contexts_as_local_variables_are_right_in_each_order) {
    auto alice = start("alice");
    const auto of_alice = mt::capture();
    auto bob = tracer.start_trace("bob", mt::user{"bob"}, mt::no_session, mt::nested);
    const auto of_bob = mt::capture();
    std::optional<attached_type> unused;
    for (const bool first_ends_first : {true, false}) {
        alignas(attached_type) unsigned char first[sizeof(attached_type)];
        alignas(attached_type) unsigned char second[sizeof(attached_type)];
        auto* const a = ::new (static_cast<void*>(first)) attached_type(of_alice.attach());
        auto* const b = ::new (static_cast<void*>(second)) attached_type(of_bob.attach());
        EXPECT_EQ(mt::current_trace_id(), bob.trace_id());
        (first_ends_first ? a : b)->~attached_type();
        EXPECT_EQ(mt::current_trace_id(), first_ends_first ? bob.trace_id() : alice.trace_id());
        (first_ends_first ? b : a)->~attached_type();
        EXPECT_EQ(mt::current_trace_id(), bob.trace_id());
    }
    EXPECT_TRUE(reports.faults().empty());
}

TEST_F(orders, an_attached_context_that_ends_takes_with_it_what_began_inside_it) {
    tracer_type::trace kept;
    {
        const auto apart = mt::captured_context<>{}.attach();
        kept = start("alice");
        EXPECT_EQ(mt::current_trace_id(), kept.trace_id());
    }
    EXPECT_FALSE(mt::current_trace_id().valid());
    EXPECT_TRUE(kept.recording());
    EXPECT_EQ(user_now(), "");
}

TEST_F(orders, scopes_that_end_in_the_order_in_which_they_began) {
    alignas(scope_type) unsigned char first[sizeof(scope_type)];
    alignas(scope_type) unsigned char second[sizeof(scope_type)];
    auto* const alice = ::new (static_cast<void*>(first)) scope_type(tracer.scope(mt::user{"alice"}));
    EXPECT_EQ(user_now(), "alice");
    auto* const bob = ::new (static_cast<void*>(second)) scope_type(tracer.scope(mt::user{"bob"}));
    EXPECT_EQ(user_now(), "bob");
    alice->~scope_type();
    EXPECT_EQ(user_now(), "bob");
    bob->~scope_type();
    EXPECT_EQ(user_now(), "");
    EXPECT_TRUE(reports.faults().empty());
}

TEST_F(orders, a_scope_on_the_heap_is_not_in_force_and_is_reported_once) {
    struct state {
        state(tracer_type& tracer, const char* user) : scope(tracer.scope(*mt::user::parse(user))) {}
        scope_type scope;
    };
    auto alice = std::make_unique<state>(tracer, "alice");
    EXPECT_EQ(user_now(), "");
    auto bob = std::make_unique<state>(tracer, "bob");
    EXPECT_EQ(user_now(), "");
    alice.reset();
    EXPECT_EQ(user_now(), "");
    bob.reset();
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::not_on_stack});
}

TEST_F(orders, a_scope_that_never_ends_goes_with_its_thread) {
    alignas(scope_type) static unsigned char storage[sizeof(scope_type)];
    std::thread([this] {
        alignas(scope_type) unsigned char local[sizeof(scope_type)];
        ::new (static_cast<void*>(local)) scope_type(tracer.scope(mt::user{"alice"}));
        EXPECT_EQ(user_now(), "alice");
        std::memcpy(storage, local, sizeof storage); // what is left of it on a stack that is gone
    }).join();
    std::thread([this] { EXPECT_EQ(user_now(), ""); }).join();
    reinterpret_cast<scope_type*>(storage)->~scope_type(); // too late, and without harm
    std::thread([this] {
        const auto scope = tracer.scope(mt::user{"bob"});
        EXPECT_EQ(user_now(), "bob");
    }).join();
}

TEST_F(orders, a_scope_may_end_on_another_thread) {
    std::optional<std::thread> other;
    alignas(scope_type) unsigned char local[sizeof(scope_type)];
    auto* const alice = ::new (static_cast<void*>(local)) scope_type(tracer.scope(mt::user{"alice"}));
    std::thread([alice] { alice->~scope_type(); }).join();
    EXPECT_EQ(user_now(), "");
    const auto bob = tracer.scope(mt::user{"bob"});
    EXPECT_EQ(user_now(), "bob");
}

TEST_F(orders, a_second_trace_that_is_not_meant_ends_the_trust_in_the_thread) {
    auto alice = start("alice");
    auto bob = start("bob"); // of another coroutine, callback, … of this thread, for all that is known
    {
        auto whose = tracer.start_span("whose");
    }
    EXPECT_FALSE(mt::current_trace_id().valid());
    EXPECT_FALSE(tracer.current_trace_id().valid());
    const auto scope = tracer.scope(mt::user{"carol"});
    {
        auto whose = tracer.start_span("whose again");
    }
    std::thread([this] {
        const auto elsewhere = tracer.scope(mt::user{"dora"});
        auto whose = tracer.start_span("on another thread");
    }).join();
    {
        auto known = bob.start_span("of bob");
    }
    bob.end();
    alice.end();
    const std::map<std::string, std::string> expected{{"alice", "alice"},  {"bob", "bob"},
                                                      {"of bob", "bob"},   {"whose", ""},
                                                      {"whose again", ""}, {"on another thread", ""}};
    EXPECT_EQ(users(), expected);
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::interleaved});
    // What is attached is known.
    {
        const auto apart = mt::captured_context<>{}.attach();
        auto eve = start("eve");
        {
            auto inside = tracer.start_span("inside");
        }
    }
    EXPECT_EQ(users().at("inside"), "eve");
}

TEST_F(orders, a_trace_inside_another_that_is_meant_is_fine) {
    auto outer = start("alice");
    {
        auto inner = tracer.start_trace("inner", mt::user{"bob"}, mt::no_session, mt::nested);
        {
            auto inside = tracer.start_span("inside the inner");
        }
    }
    {
        auto inside = tracer.start_span("inside the outer");
    }
    outer.end();
    const auto found = users();
    EXPECT_EQ(found.at("inside the inner"), "bob");
    EXPECT_EQ(found.at("inside the outer"), "alice");
    EXPECT_TRUE(reports.faults().empty());
}

TEST_F(orders, traces_that_end_in_the_order_in_which_they_began_are_no_stack) {
    auto outer = start("alice");
    auto inner = tracer.start_trace("inner", mt::user{"bob"}, mt::no_session, mt::nested);
    outer.end();
    EXPECT_EQ(user_now(), "");
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::interleaved});
}

TEST_F(orders, spans_of_one_trace_may_end_in_any_order) {
    auto trace = start("alice");
    auto first = tracer.start_span("first");
    auto second = tracer.start_span("second");
    first.end();
    first.end();
    {
        auto inside = tracer.start_span("inside the second");
    }
    second.end();
    {
        auto inside = tracer.start_span("inside the trace");
    }
    trace.end();
    for (const auto& [name, user] : users()) EXPECT_EQ(user, "alice") << name;
    EXPECT_TRUE(reports.faults().empty());
}

TEST_F(orders, a_trace_that_is_kept_on_the_heap_is_not_current) {
    std::map<int, tracer_type::trace> sessions;
    sessions[1] = start("alice");
    EXPECT_EQ(user_now(), "");
    sessions[2] = start("bob");
    EXPECT_EQ(user_now(), "");
    {
        auto inside = sessions[1].start_span("inside");
    }
    sessions.erase(1);
    EXPECT_EQ(users().at("inside"), "alice");
    {
        auto carol = start("carol"); // and the stack is as good as before
        {
            auto inside = tracer.start_span("of carol");
        }
    }
    EXPECT_EQ(users().at("of carol"), "carol");
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::not_on_stack});
}

TEST_F(orders, a_span_that_is_kept_on_the_heap_is_current_for_as_long_as_its_trace_on_the_stack) {
    std::vector<tracer_type::span> kept;
    {
        auto trace = start("alice");
        kept.push_back(tracer.start_span("kept"));
        {
            auto inside = tracer.start_span("inside");
        }
        trace.end();
        EXPECT_EQ(user_now(), "");
    }
    kept.clear();
    EXPECT_EQ(reports.count(mt::error_kind::interleaved), 0);
}

TEST_F(orders, a_trace_that_begins_on_the_heap_makes_the_stack_doubtful) {
    struct request {
        request(tracer_type& tracer, const char* user)
            : trace(tracer.start_trace(user, *mt::user::parse(user), mt::no_session)) {}
        tracer_type::trace trace;
    };
    const auto alice = std::make_unique<request>(tracer, "alice");
    {
        auto bob = start("bob");
        EXPECT_EQ(user_now(), ""); // it could be alice's, of a coroutine that was resumed here
    }
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::not_on_stack});
}

TEST_F(orders, a_fiber_has_a_stack_of_its_own) {
    static orders* self;
    static ucontext_t main_context;
    static ucontext_t fiber;
    self = this;
    std::vector<char> stack(std::size_t{1} << 18U);
    ASSERT_EQ(getcontext(&fiber), 0);
    fiber.uc_stack.ss_sp = stack.data();
    fiber.uc_stack.ss_size = stack.size();
    fiber.uc_link = &main_context;
    makecontext(
        &fiber,
        [] {
            auto trace = self->start("alice");
            swapcontext(&fiber, &main_context);
        },
        0);
    swapcontext(&main_context, &fiber);
    EXPECT_EQ(user_now(), "");
    auto bob = start("bob");
    EXPECT_EQ(user_now(), "");
    swapcontext(&main_context, &fiber);
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::not_on_stack});
}

TEST_F(orders, what_is_sampled_out_takes_no_span_of_another_trace_with_it) {
    struct first_only {
        bool sample(const mt::trace_start&) const { return is_sampled; }
        bool is_sampled;
    };
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter, first_only> sampled(
        {.recording = {false}, .on_error = &support::reports::add, .error_context = &reports});
    auto hidden = sampled.start_trace("hidden", mt::user{"alice"}, mt::no_session);
    EXPECT_FALSE(sampled.start_span("inside").recording());
    auto other = sampled.start_trace("of somebody else", mt::user{"bob"}, mt::no_session);
    EXPECT_FALSE(sampled.start_span("whose").recording());
    EXPECT_EQ(reports.faults(), std::vector{mt::error_kind::interleaved});
}

TEST_F(orders, a_trace_that_takes_the_place_of_another_is_no_mixture) {
    tracer_type::trace turn;
    for (const char* user : {"alice", "bob", "carol"}) {
        turn = start(user); // starts before the last one ends
        {
            auto inside = tracer.start_span(std::string("of ") + user);
        }
    }
    turn.end();
    const auto found = users();
    for (const std::string user : {"alice", "bob", "carol"}) EXPECT_EQ(found.at("of " + user), user);
    EXPECT_TRUE(reports.faults().empty());
}

TEST_F(orders, a_span_on_the_heap_keeps_no_other_trace_from_being_current) {
    std::map<int, tracer_type::span> pending;
    auto bob = tracer_type::trace();
    {
        const auto apart = mt::captured_context<>{}.attach();
        bob = start("bob");
    }
    auto alice = start("alice");
    pending.emplace(1, bob.start_span("of bob"));
    {
        auto work = tracer.start_span("of alice");
    }
    {
        const auto of_alice = mt::capture().attach();
        pending.emplace(2, bob.start_span("of bob, too"));
        auto work = tracer.start_span("of alice, too");
    }
    pending.clear();
    alice.end();
    bob.end();
    const auto found = users();
    EXPECT_EQ(found.at("of alice"), "alice");
    EXPECT_EQ(found.at("of alice, too"), "alice");
}

TEST_F(orders, an_error_handler_may_end_the_context_around_a_scope) {
    struct ender {
        std::optional<mt::captured_context<>> captured{mt::captured_context<>{}};
        alignas(attached_type) unsigned char storage[sizeof(attached_type)];
        attached_type* attached = nullptr;
        static void end(void* context, const mt::error&) noexcept {
            auto& self = *static_cast<ender*>(context);
            if (self.attached) std::exchange(self.attached, nullptr)->~attached_type();
        }
    } handler;
    tracer_type ended({.on_error = &ender::end, .error_context = &handler});
    handler.attached = ::new (static_cast<void*>(handler.storage)) attached_type(handler.captured->attach());
    const auto scope = ended.scope(mt::tag{"", "bad"}, mt::user{"alice"});
    const auto other = ended.scope(mt::tag{"good", "tag"});
    ended.start_span("of nobody").end();
    EXPECT_EQ(ended.exporter().take().at(0).metadata["mlflow.trace.user"], "");
}

TEST_F(orders, what_a_thread_leaves_behind_goes_back) {
    const auto threads = [this](int count) {
        for (int i = 0; i < count; ++i)
            std::thread([this] {
                auto off = tracer.untraced();
                std::thread([&off] { off.end(); }).join();
                static thread_local struct late {
                    tracer_type* tracer = nullptr;
                    ~late() {
                        if (tracer) tracer->start_span("late").end();
                    }
                } at_exit;
                at_exit.tracer = &tracer;
            }).join();
        users();
    };
    threads(50);
    const auto before = ::mallinfo2().uordblks;
    threads(500);
    EXPECT_LT(::mallinfo2().uordblks, before + 50'000) << "bytes in use";
}

template <class Context>
class untraced : public testing::Test {
protected:
    using tracer_type = mt::tracer<mt::open_schema, Context, mt::memory_exporter>;
};
using policies = testing::Types<mt::thread_local_context, mt::explicit_context, mt::coroutine_context>;
TYPED_TEST_SUITE(untraced, policies);

TYPED_TEST(untraced, records_nothing_whatever_is_open_around_it) {
    typename TestFixture::tracer_type tracer;
    auto trace = tracer.start_trace("chat", mt::user{"alice"}, mt::no_session);
    auto span = tracer.start_span("around");
    {
        const auto off = tracer.untraced();
        EXPECT_FALSE(tracer.start_span("a").recording());
        EXPECT_FALSE(tracer.start_trace("b", mt::user{"bob"}, mt::no_session).recording());
        EXPECT_FALSE(tracer.start_trace("c", mt::user{"bob"}, mt::no_session, mt::nested).recording());
        EXPECT_FALSE(trace.start_span("d").recording());
        EXPECT_FALSE(span.start_span("e").recording());
        mt::traced<"f">(tracer, [] {})();
        const auto also_off = tracer.untraced();
        EXPECT_FALSE(span.start_span("g").recording());
        auto bound = mt::bind<TypeParam>([&] { EXPECT_FALSE(trace.start_span("h").recording()); });
        std::thread(bound).join();
        std::thread([&] { EXPECT_TRUE(trace.start_span("elsewhere").recording()); }).join();
        trace.attribute("still", "open");
    }
    EXPECT_TRUE(trace.start_span("after").recording());
    span.end();
    trace.end();
    std::map<std::string, int> seen;
    for (const auto& each : tracer.exporter().take())
        for (const auto& found : each.spans) ++seen[found.name];
    EXPECT_EQ(seen, (std::map<std::string, int>{{"chat", 1}, {"around", 1}, {"elsewhere", 1}, {"after", 1}}));
    EXPECT_EQ(tracer.refused_values(), 0U);
}

TYPED_TEST(untraced, ends_in_any_order_and_on_any_thread) {
    typename TestFixture::tracer_type tracer;
    auto first = tracer.untraced();
    auto second = tracer.untraced();
    first.end();
    EXPECT_FALSE(tracer.start_span("off").recording());
    std::thread([&second] { second.end(); }).join();
    EXPECT_TRUE(tracer.start_span("on").recording());
}

} // namespace
