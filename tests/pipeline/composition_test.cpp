// SPDX-License-Identifier: Apache-2.0
// Every order of the layers of an exporter: it delivers, or `composes` says that it does not compile.
#include <mlflow/trace.hpp>
#include <mlflow/trace/pipeline/exporter_adaptor.hpp>
#include <mlflow/trace/pipeline/fan_out.hpp>
#include <mlflow/trace/spool/spool.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <type_traits>
#include <unistd.h>
#include <utility>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

// Where everything ends: does not take the first attempt of all.
struct receiver {
    struct options {};
    explicit receiver(options = {}) {}
    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome;
        if (is_away.exchange(false)) {
            outcome.failed_spans = batch.span_count();
            outcome.error = mt::error(mt::error_kind::connect, {}, "away");
            outcome.retryable = true;
        } else {
            outcome.exported_spans = batch.span_count();
            spans += outcome.exported_spans;
        }
        return outcome;
    }
    static inline std::atomic<bool> is_away{false};
    static inline std::atomic<std::size_t> spans{0};
};

struct bystander {
    mt::export_result export_traces(mt::trace_batch& batch) { return {.exported_spans = batch.span_count()}; }
};

template <class Exporter>
class own : public mt::exporter_adaptor<Exporter> {
    using adaptor = mt::exporter_adaptor<Exporter>;

public:
    static constexpr bool is_thread_safe = mt::thread_safe_exporter<Exporter>;

    struct options {
        typename adaptor::inner_options exporter{};
    };
    explicit own(options chosen) : adaptor(std::move(chosen.exporter)) {}
};

template <class Exporter>
using batched = mt::batch<Exporter>;
template <class Exporter>
using spooled = mt::spool<Exporter>;
template <class Exporter>
using fanned_out = mt::fan_out<Exporter, bystander>;

enum class layer { batch, retry, spool, fan_out, deployed, own };
constexpr layer layers[] = {layer::batch, layer::retry, layer::spool, layer::fan_out, layer::deployed, layer::own};

template <layer Which, class Exporter>
auto around() {
    if constexpr (Which == layer::batch) return std::type_identity<batched<Exporter>>();
    else if constexpr (Which == layer::retry) return std::type_identity<mt::retry<Exporter>>();
    else if constexpr (Which == layer::spool) return std::type_identity<spooled<Exporter>>();
    else if constexpr (Which == layer::fan_out) return std::type_identity<fanned_out<Exporter>>();
    else if constexpr (Which == layer::deployed) return std::type_identity<mt::deployed<Exporter>>();
    else return std::type_identity<own<Exporter>>();
}
template <layer Which, class Exporter>
using around_t = typename decltype(around<Which, Exporter>())::type;

// The rules once more: what tries again or passes on at once cannot know what an exporter that defers will do, and
// only one may try again.
struct rules {
    bool is_right = true;
    bool defers = false;
    bool retries = false;

    constexpr void add(layer which) {
        switch (which) {
        case layer::batch:
        case layer::fan_out: defers = true; break;
        case layer::deployed: is_right = is_right && !defers; break;
        case layer::own: break;
        case layer::retry:
        case layer::spool:
            is_right = is_right && !defers && !retries;
            retries = true;
            defers = which == layer::spool;
            break;
        }
    }
};
template <layer... InsideOut>
constexpr rules rules_of() {
    rules all;
    (all.add(InsideOut), ...);
    return all;
}

template <class Options>
void hurry(Options& options, const std::string& folder) {
    if constexpr (requires { options.first_wait; }) options.first_wait = options.longest_wait = 1ms;
    if constexpr (requires { options.delay; }) options.delay = 1ms;
    if constexpr (requires { options.folder; }) options.folder = folder;
    if constexpr (requires { options.diagnostics; }) options.diagnostics.write = nullptr;
    if constexpr (requires { options.exporter; }) hurry(options.exporter, folder);
    if constexpr (requires { options.exporters; }) options.for_each([&](auto& each) { hurry(each, folder); });
}

template <class Exporter>
void expect_delivery() {
    SCOPED_TRACE(testing::internal::GetTypeName<Exporter>());
    const auto folder =
        std::filesystem::temp_directory_path() / ("mlflow_trace-composed-" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder);
    using tracer =
        mt::tracer<mt::open_schema, mt::thread_local_context, Exporter, mt::record_all, mt::hosted_platform>;
    typename tracer::options options;
    hurry(options.exporter, folder.string());
    receiver::spans = 0;
    receiver::is_away = mt::retrying_exporter<Exporter>;
    std::size_t recorded = 0;
    {
        tracer traces(std::move(options));
        for (int i = 0; i < 5; ++i) {
            auto trace = traces.start_trace("turn", mt::user{"user-1"});
            auto span = traces.start_span("step");
            recorded += 2;
        }
        ASSERT_TRUE(traces.flush(10s)) << traces.last_error().message();
        const mt::span_account account = traces.account();
        EXPECT_EQ(account.exported, recorded) << traces.last_error().message();
        EXPECT_EQ(account.failed + account.dropped + account.queued + account.open, 0U);
    }
    EXPECT_GE(receiver::spans, recorded);
    std::filesystem::remove_all(folder);
}

template <layer Outer, layer Inner>
void try_pair() {
    using inner = around_t<Inner, receiver>;
    using outer = around_t<Outer, inner>;
    constexpr rules expected = rules_of<Inner, Outer>();
    static_assert(mt::composes<outer> == expected.is_right);
    if constexpr (expected.is_right) {
        static_assert(mt::deferring_exporter<outer> == expected.defers);
        static_assert(mt::retrying_exporter<outer> == expected.retries);
        expect_delivery<outer>();
    }
}

template <std::size_t... Pair>
void try_pairs(std::index_sequence<Pair...>) {
    (try_pair<layers[Pair / 6], layers[Pair % 6]>(), ...);
}

TEST(composition, each_pair_of_layers_delivers_or_does_not_compile) { try_pairs(std::make_index_sequence<36>()); }

template <std::size_t... Triple>
constexpr bool triples_are_right(std::index_sequence<Triple...>) {
    return ([] {
        constexpr layer outer = layers[Triple / 36], middle = layers[Triple / 6 % 6], inner = layers[Triple % 6];
        using all = around_t<outer, around_t<middle, around_t<inner, receiver>>>;
        return mt::composes<all> == rules_of<inner, middle, outer>().is_right;
    }() && ...);
}
static_assert(triples_are_right(std::make_index_sequence<216>()));

TEST(composition, triples_deliver) {
    expect_delivery<batched<mt::retry<mt::deployed<receiver>>>>();
    expect_delivery<batched<own<mt::retry<receiver>>>>();
    expect_delivery<own<batched<mt::retry<receiver>>>>();
    expect_delivery<batched<batched<mt::retry<receiver>>>>();
    expect_delivery<batched<spooled<mt::deployed<receiver>>>>();
    expect_delivery<fanned_out<batched<mt::retry<receiver>>>>();
    expect_delivery<batched<fanned_out<mt::retry<receiver>>>>();
    expect_delivery<fanned_out<own<spooled<receiver>>>>();
    expect_delivery<fanned_out<fanned_out<mt::retry<receiver>>>>();
}

// What is handed on is not exported yet.
TEST(composition, the_account_of_a_batch_around_one_that_defers_is_that_of_the_inner_one) {
    using inner = batched<mt::retry<receiver>>;
    using tracer =
        mt::tracer<mt::open_schema, mt::thread_local_context, batched<inner>, mt::record_all, mt::hosted_platform>;
    receiver::is_away = true;
    mt::retry<receiver>::options slow{.first_wait = 10min, .longest_wait = 10min, .diagnostics = {.write = nullptr}};
    tracer traces(slow, inner::options{.delay = 1ms, .shutdown_timeout = 1ms, .diagnostics = {.write = nullptr}},
                  typename tracer::options{.shutdown_timeout = 1ms});
    traces.start_trace("turn").end();
    EXPECT_FALSE(traces.flush(50ms));
    const mt::span_account account = traces.account();
    EXPECT_EQ(account.exported, 0U);
    EXPECT_EQ(account.queued, 1U);
}

} // namespace
