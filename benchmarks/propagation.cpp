// SPDX-License-Identifier: Apache-2.0
// What it costs to put a trace into the headers of a request, and to take it from there: `traceparent`, and `baggage`
// with a user, a session and a key. Beside it the same by opentelemetry-cpp, where its headers are given
// (MLFLOW_TRACE_OPENTELEMETRY_CPP), and as the floor that two finished texts are copied into or from the same
// container. Measured in turn in one run; prints nanoseconds, the minimum and the median of 31 repetitions.
#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/hmac_seal.hpp>
#include <mlflow/trace/web/propagation.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if __has_include(<opentelemetry/baggage/propagation/baggage_propagator.h>)
#define HAS_OPENTELEMETRY 1
#include <opentelemetry/baggage/propagation/baggage_propagator.h>
#include <opentelemetry/trace/propagation/http_trace_context.h>
#else
#define HAS_OPENTELEMETRY 0
#endif

namespace {

namespace mt = mlflow::trace;
using segment = mt::key<"app.segment">;
using schema = mt::schema<mt::propagated<mt::required<mt::user>>, mt::propagated<mt::required<mt::session>>,
                          mt::propagated<mt::optional<segment>>>;
using tracer_type = mt::tracer<schema, mt::thread_local_context, mt::memory_exporter>;
using trusting = mt::propagator<schema, mt::trust_network>;
using sealing = mt::propagator<schema, mt::hmac_seal>;

// The headers of a request, the same for all. It keeps its memory.
class header_list {
public:
    using iterator = std::vector<std::pair<std::string, std::string>>::const_iterator;
    [[nodiscard]] iterator begin() const { return all_.begin(); }
    [[nodiscard]] iterator end() const { return all_.begin() + static_cast<std::ptrdiff_t>(used_); }

    void clear() noexcept { used_ = 0; }
    void set(std::string_view name, std::string_view value) {
        if (used_ == all_.size()) all_.emplace_back();
        all_[used_].first = name;
        all_[used_].second = value;
        ++used_;
    }
    [[nodiscard]] std::string_view get(std::string_view name) const {
        for (const auto& [key, value] : *this)
            if (mt::detail::same_name(key, name)) return value;
        return {};
    }

private:
    std::vector<std::pair<std::string, std::string>> all_;
    std::size_t used_ = 0;
};

const header_list others = [] { // of a request, as they stand around the two
    header_list list;
    for (const char* const name : {"Host", "Content-Type", "Content-Length", "Accept"}) list.set(name, "example");
    return list;
}();

struct series {
    const char* name;
    std::vector<double> figures{};

    template <class Work>
    void measure(const Work& work) {
        constexpr int rounds = 20'000;
        const auto begin = std::chrono::steady_clock::now();
        for (int i = 0; i < rounds; ++i) work();
        const auto spent = std::chrono::steady_clock::now() - begin;
        figures.push_back(static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count()) /
                          rounds);
    }
    void print() {
        if (figures.empty()) return;
        std::sort(figures.begin(), figures.end());
        std::printf("%-52s %8.1f %8.1f\n", name, figures.front(), figures[figures.size() / 2]);
    }
};

template <class T>
void keep(const T& value) {
    asm volatile("" : : "g"(&value) : "memory");
}

#if HAS_OPENTELEMETRY
namespace otel = opentelemetry;

struct otel_carrier : otel::context::propagation::TextMapCarrier {
    explicit otel_carrier(header_list& headers) : list(headers) {}
    otel::nostd::string_view Get(otel::nostd::string_view name) const noexcept override {
        const std::string_view found = list.get({name.data(), name.size()});
        return {found.data(), found.size()};
    }
    void Set(otel::nostd::string_view name, otel::nostd::string_view value) noexcept override {
        list.set({name.data(), name.size()}, {value.data(), value.size()});
    }
    header_list& list;
};

otel::context::Context otel_context(std::string_view parent) {
    const otel::nostd::string_view hex(parent.data(), parent.size());
    using propagator = otel::trace::propagation::HttpTraceContext;
    const otel::trace::SpanContext span(propagator::TraceIdFromHex(hex.substr(3, 32)),
                                        propagator::SpanIdFromHex(hex.substr(36, 16)),
                                        propagator::TraceFlagsFromHex(hex.substr(53, 2)), true);
    otel::context::Context context;
    context =
        otel::trace::SetSpan(context, otel::nostd::shared_ptr<otel::trace::Span>(new otel::trace::DefaultSpan(span)));
    auto baggage = otel::baggage::Baggage::GetDefault()->Set("mlflow.trace.user", "user-1042");
    baggage = baggage->Set("mlflow.trace.session", "session-7")->Set("app.segment", "pro");
    return otel::baggage::SetBaggage(context, baggage);
}
#endif

} // namespace

int main() {
    tracer_type tracer;
    auto trace = tracer.start_trace("chat", mt::user{"user-1042"}, mt::session{"session-7"}, segment{"pro"});
    const trusting plain({.hosts = {"agents.internal"}});
    const sealing sealed(
        {.hosts = {"agents.internal"}, .seal = {.key = mt::secret("32 random bytes of a benchmark.")}});

    header_list to;
    const auto set = [&to](std::string_view name, std::string_view value) { to.set(name, value); };
    header_list plain_request = others, sealed_request = others;
    plain.inject(trace, "agents.internal", [&](auto name, auto value) { plain_request.set(name, value); });
    sealed.inject(trace, "agents.internal", [&](auto name, auto value) { sealed_request.set(name, value); });
    if (!plain.extract(plain_request).is_trusted() || !sealed.extract(sealed_request).is_trusted()) return 1;
    const std::string parent(plain_request.get("traceparent")), baggage(plain_request.get("baggage"));

    series copied{"inject: the texts copied"}, ours{"inject: mlflow_trace"},
        ours_sealed{"inject: mlflow_trace, with a seal"}, theirs{"inject: opentelemetry-cpp"};
    series looked_up{"extract: the texts copied"}, our_reading{"extract: mlflow_trace"},
        our_reading_sealed{"extract: mlflow_trace, with a seal"}, their_reading{"extract: opentelemetry-cpp"};
#if HAS_OPENTELEMETRY
    otel::trace::propagation::HttpTraceContext their_parent;
    otel::baggage::propagation::BaggagePropagator their_baggage;
    const auto context = otel_context(parent);
    otel_carrier their_to(to), their_from(plain_request);
    their_parent.Inject(their_to, context);
    their_baggage.Inject(their_to, context);
    if (to.get("traceparent") != parent || to.get("baggage").size() != baggage.size()) return 2;
#endif
    for (int repetition = 0; repetition < 31; ++repetition) {
        copied.measure([&] {
            to.clear();
            set("traceparent", parent);
            set("baggage", baggage);
            keep(to);
        });
        ours.measure([&] {
            to.clear();
            plain.inject(trace, "agents.internal", set);
            keep(to);
        });
        ours_sealed.measure([&] {
            to.clear();
            sealed.inject(trace, "agents.internal", set);
            keep(to);
        });
        looked_up.measure([&] {
            const std::string a(plain_request.get("traceparent")), b(plain_request.get("baggage"));
            keep(a);
            keep(b);
        });
        our_reading.measure([&] { keep(plain.extract(plain_request)); });
        our_reading_sealed.measure([&] { keep(sealed.extract(sealed_request)); });
#if HAS_OPENTELEMETRY
        theirs.measure([&] {
            to.clear();
            their_parent.Inject(their_to, context);
            their_baggage.Inject(their_to, context);
            keep(to);
        });
        their_reading.measure([&] {
            otel::context::Context empty;
            auto with_parent = their_parent.Extract(their_from, empty);
            keep(their_baggage.Extract(their_from, with_parent));
        });
#endif
    }
    std::printf("%-52s %17s\n", "ns", "min, med");
    for (series* const each :
         {&copied, &ours, &theirs, &ours_sealed, &looked_up, &our_reading, &their_reading, &our_reading_sealed})
        each->print();
}
