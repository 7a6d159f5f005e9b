// SPDX-License-Identifier: Apache-2.0
// What is current, in random orders of everything that may begin and end, against a model that knows where each span
// belongs. MLFLOW_TRACE_SCHEDULES sets how many schedules there are, MLFLOW_TRACE_SEED the first.
#include "support/environment.hpp"
#include "support/workers.hpp"
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using tracer_type = mt::tracer<mt::open_schema, mt::coroutine_context, mt::memory_exporter>;
using scope_type = mt::basic_scope<mt::coroutine_context>;
using captured_type = mt::captured_context<mt::coroutine_context>;
using attached_type = mt::attached_context<mt::coroutine_context>;

// The model: what is documented, without pools, generations or threads.
namespace model {

struct trace {
    std::string user;
    bool is_open = true;
};
struct contents {
    trace* current = nullptr;
    bool is_off = false;
    std::vector<std::string> scopes; // the innermost first
};
struct entry {
    enum class kind { span, root, scope, attached, off } what;
    trace* of = nullptr;
    std::string user{}; // of a scope
    contents captured{};
    entry* around = nullptr; // the attached context that it is in
    bool has_ended = false;
    bool is_unmeant = false; // a trace that began inside another one, without mt::nested

    [[nodiscard]] bool is_live() const { return !has_ended && (!around || around->is_live()); }
    [[nodiscard]] bool is_span() const { return what == kind::span || what == kind::root; }
};

class task {
public:
    entry* enter(entry made) {
        made.around = made.what == entry::kind::attached ? nullptr : attached();
        entries_.push_back(std::make_unique<entry>(std::move(made)));
        return entries_.back().get();
    }
    [[nodiscard]] bool holds(const entry* one) const {
        for (const auto& each : entries_)
            if (each.get() == one) return true;
        return false;
    }
    [[nodiscard]] contents capture() const {
        contents all;
        bool found = false;
        for (auto at = entries_.rbegin(); at != entries_.rend(); ++at) {
            const entry& each = **at;
            if (!each.is_live()) continue;
            if (each.what == entry::kind::attached) {
                if (!found) all.current = each.captured.current;
                all.is_off = all.is_off || each.captured.is_off;
                all.scopes.insert(all.scopes.end(), each.captured.scopes.begin(), each.captured.scopes.end());
                break;
            }
            if (each.what == entry::kind::off) {
                all.is_off = found = true;
            } else if (is_mixed) {
                continue;
            } else if (each.what == entry::kind::scope) {
                all.scopes.push_back(each.user);
            } else if (!found) {
                all.current = each.of;
                found = true;
            }
        }
        if (all.is_off) all.current = nullptr;
        return all;
    }
    // Is a trace open here that another one would have to be inside of?
    [[nodiscard]] bool is_in_trace() const {
        for (auto at = entries_.rbegin(); at != entries_.rend(); ++at)
            if (!(*at)->is_live()) continue;
            else if ((*at)->what == entry::kind::attached) return false;
            else if ((*at)->is_span()) return true;
        return false;
    }
    // Something is recorded here: are two traces open that are not meant to be?
    void judge() {
        for (auto inner = entries_.rbegin(); inner != entries_.rend(); ++inner) {
            if (!(*inner)->is_unmeant || !(*inner)->is_live()) continue;
            (*inner)->is_unmeant = false;
            for (auto around = inner + 1; around != entries_.rend(); ++around)
                is_mixed = is_mixed ||
                           ((*around)->is_span() && (*around)->around == (*inner)->around && (*around)->is_live());
        }
    }
    // The end of a span in this task.
    void end(entry* one) {
        bool is_further_in = false;
        for (const auto& each : entries_) {
            if (is_further_in && each->what == entry::kind::root && each->around == one->around && each->is_live() &&
                one->what == entry::kind::root && one->is_live())
                is_mixed = true;
            is_further_in = is_further_in || each.get() == one;
        }
    }

    bool is_mixed = false;

private:
    [[nodiscard]] entry* attached() const {
        for (auto at = entries_.rbegin(); at != entries_.rend(); ++at)
            if ((*at)->what == entry::kind::attached && (*at)->is_live()) return at->get();
        return nullptr;
    }
    std::vector<std::unique_ptr<entry>> entries_; // the outermost first
};

} // namespace model

using kind = model::entry::kind;

class schedule {
public:
    schedule(tracer_type& tracer, support::workers& threads, std::uint64_t seed)
        : tracer_(tracer), threads_(threads), random_(seed) {}

    void run() {
        for (int i = 0; i < 3; ++i) add_task(nullptr);
        const int steps = 4 + below(60);
        for (int i = 0; i < steps; ++i) {
            running_ = below(static_cast<int>(tasks_.size())); // a suspension, and a resumption on any thread
            threads_.run_on(below(threads_.size()), [&] {
                const mt::task_context::running here(tasks_[at(running_)].task);
                step();
            });
        }
        // What is left ends in any order, in any task, or goes with its task.
        while (!objects_.empty() && below(8) != 0) {
            running_ = below(static_cast<int>(tasks_.size()));
            threads_.run_on(below(threads_.size()), [&] {
                const mt::task_context::running here(tasks_[at(running_)].task);
                end(below(static_cast<int>(objects_.size())));
            });
        }
        for (auto& each : tasks_) each.task = {};
        for (auto& each : objects_)
            if (each.what == kind::root) each.of->is_open = false;
        objects_.clear();
    }

    // Which trace each recorded span is in, and whose that trace is.
    void check(const std::vector<mt::recorded_trace>& recorded) const {
        std::size_t seen = 0;
        for (const auto& trace : recorded)
            for (const auto& span : trace.spans) {
                const auto expected = expected_.find(span.name);
                ASSERT_NE(expected, expected_.end()) << span.name << " was not to be recorded";
                EXPECT_EQ(ids_.at(expected->second), trace.id) << span.name << " is in another trace";
                ++seen;
            }
        EXPECT_EQ(seen, expected_.size());
        for (const auto& trace : recorded) {
            const auto* const root = trace.root();
            if (!root) continue; // spans that ended after it
            EXPECT_EQ(trace.metadata["mlflow.trace.user"], expected_.at(root->name)->user) << root->name;
        }
    }

private:
    struct running_task {
        mt::task_context task;
        model::task expected;
    };
    struct object {
        kind what;
        std::unique_ptr<tracer_type::span> span{};
        std::unique_ptr<scope_type> scope{};
        std::unique_ptr<attached_type> attached{};
        model::entry* entry = nullptr;
        model::trace* of = nullptr;
    };

    int below(int limit) { return static_cast<int>(random_() % static_cast<std::uint64_t>(limit)); }
    static std::size_t at(int index) { return static_cast<std::size_t>(index); }
    model::task& expected() { return tasks_[at(running_)].expected; }
    std::string next_user() { return "user-" + std::to_string(++users_); }

    void add_task(const model::contents* inherited) {
        running_task made{mt::task_context::start(), {}};
        if (inherited) made.expected.enter({kind::attached, nullptr, {}, *inherited});
        tasks_.push_back(std::move(made));
    }

    void step() {
        switch (below(12)) {
        case 0:
        case 1: start_trace(); break;
        case 2:
        case 3:
        case 4: start_span(); break;
        case 5: start_inside(); break;
        case 6: begin_scope(); break;
        case 7:
            expected().judge();
            captured_.push_back({tracer_.capture(), expected().capture()});
            break;
        case 8: attach(); break;
        case 9:
            if (below(3) == 0) switch_off();
            else if (tasks_.size() < 6) {
                expected().judge();
                const auto inherited = expected().capture();
                add_task(&inherited);
            }
            break;
        default:
            if (!objects_.empty()) end(below(static_cast<int>(objects_.size())));
        }
    }

    void start_trace() {
        const std::string name = "trace-" + std::to_string(++names_);
        const bool is_nested = below(2) == 0;
        const auto here = expected().capture();
        const std::string user = below(3) == 0 ? "" : next_user();
        const auto value = mt::user::parse(user);
        auto started = std::make_unique<tracer_type::span>([&]() -> tracer_type::span {
            if (is_nested && value) return tracer_.start_trace(name, *value, mt::nested);
            if (is_nested) return tracer_.start_trace(name, mt::nested);
            if (value) return tracer_.start_trace(name, *value);
            return tracer_.start_trace(name);
        }());
        ASSERT_EQ(started->recording(), !here.is_off);
        if (here.is_off) return;
        const bool is_unmeant = expected().is_in_trace() && !is_nested;
        const auto scopes = expected().capture().scopes;
        open(name, std::move(started), user.empty() && !scopes.empty() ? scopes.front() : user);
        if (objects_.back().entry) objects_.back().entry->is_unmeant = is_unmeant;
    }

    void start_span() {
        const std::string name = "span-" + std::to_string(++names_);
        if (!expected().capture().is_off) expected().judge();
        const auto here = expected().capture();
        auto started = std::make_unique<tracer_type::span>(tracer_.start_span(name));
        ASSERT_EQ(started->recording(), !here.is_off);
        if (here.is_off) return;
        if (here.current) keep(name, kind::span, std::move(started), here.current, true);
        else open(name, std::move(started), here.scopes.empty() ? "" : here.scopes.front());
    }

    void start_inside() {
        std::vector<const object*> spans;
        for (const auto& each : objects_)
            if (each.of) spans.push_back(&each);
        if (spans.empty()) return;
        const object* const parent = spans[at(below(static_cast<int>(spans.size())))];
        const std::string name = "inside-" + std::to_string(++names_);
        auto started = std::make_unique<tracer_type::span>(parent->span->start_span(name));
        ASSERT_EQ(started->recording(), !expected().capture().is_off);
        if (started->recording()) keep(name, kind::span, std::move(started), parent->of, true);
    }

    void begin_scope() {
        const std::string user = next_user();
        expected().judge();
        const auto here = expected().capture();
        object made{kind::scope};
        made.scope.reset(new scope_type(tracer_.scope(*mt::user::parse(user))));
        if (here.current && here.current->is_open && here.current->user.empty()) here.current->user = user;
        made.entry = expected().enter({kind::scope, nullptr, user});
        objects_.push_back(std::move(made));
    }

    void attach() {
        if (captured_.empty()) return;
        const auto& [captured, contents] = captured_[at(below(static_cast<int>(captured_.size())))];
        object made{kind::attached};
        made.attached.reset(new attached_type(captured.attach()));
        made.entry = expected().enter({kind::attached, nullptr, {}, contents});
        objects_.push_back(std::move(made));
    }

    void switch_off() {
        object made{kind::off};
        made.span = std::make_unique<tracer_type::span>(tracer_.untraced());
        made.entry = expected().enter({kind::off});
        objects_.push_back(std::move(made));
    }

    void open(const std::string& name, std::unique_ptr<tracer_type::span> started, const std::string& user) {
        traces_.push_back(std::make_unique<model::trace>(model::trace{user}));
        ids_.emplace(traces_.back().get(), started->trace_id());
        // One that does not count does not become current either.
        keep(name, kind::root, std::move(started), traces_.back().get(), !expected().is_mixed);
    }
    void keep(const std::string& name, kind what, std::unique_ptr<tracer_type::span> started, model::trace* of,
              bool becomes_current) {
        EXPECT_EQ(started->trace_id(), ids_.at(of)) << name;
        expected_.emplace(name, of);
        object made{what};
        made.span = std::move(started);
        made.of = of;
        if (becomes_current) made.entry = expected().enter({what, of});
        objects_.push_back(std::move(made));
    }

    void end(int index) {
        object ended = std::move(objects_[at(index)]);
        objects_.erase(objects_.begin() + index);
        if (ended.entry) {
            if (expected().holds(ended.entry)) expected().end(ended.entry);
            ended.entry->has_ended = true;
        }
        if (ended.what == kind::root) ended.of->is_open = false;
        if (ended.span && below(2) == 0) ended.span->end(); // and once more by the destructor
    }

    tracer_type& tracer_;
    support::workers& threads_;
    std::mt19937_64 random_;
    std::vector<running_task> tasks_;
    std::vector<object> objects_;
    std::vector<std::pair<captured_type, model::contents>> captured_;
    std::vector<std::unique_ptr<model::trace>> traces_;
    std::map<const model::trace*, mt::trace_id> ids_;
    std::map<std::string, const model::trace*> expected_;
    int running_ = 0;
    int users_ = 0;
    int names_ = 0;
};

class random_orders : public testing::TestWithParam<int> {};

TEST_P(random_orders, put_each_span_where_it_belongs) {
    const std::uint64_t first = support::number_from("MLFLOW_TRACE_SEED", std::random_device{}());
    const std::uint64_t schedules = support::number_from("MLFLOW_TRACE_SCHEDULES", 2'000) / 4;
    std::cout << "MLFLOW_TRACE_SEED=" << first << "\n";
    support::workers threads(GetParam());
    tracer_type tracer({.on_error = [](void*, const mt::error&) noexcept {}});
    for (std::uint64_t seed = first; seed < first + schedules && !HasFailure(); ++seed) {
        SCOPED_TRACE("MLFLOW_TRACE_SEED=" + std::to_string(seed));
        schedule one(tracer, threads, seed);
        one.run();
        one.check(tracer.exporter().take());
        EXPECT_EQ(tracer.account().open, 0U);
    }
}

INSTANTIATE_TEST_SUITE_P(on_threads, random_orders, testing::Values(1, 2, 3, 4), testing::PrintToStringParamName());

} // namespace
