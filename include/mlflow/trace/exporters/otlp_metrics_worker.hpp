// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/export_result.hpp>
#include <mlflow/trace/core/notice.hpp>
#include <mlflow/trace/core/trace_batch.hpp>
#include <mlflow/trace/core/uuid_v7.hpp>
#include <mlflow/trace/detail/deadline.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/exporters/otlp_histograms.hpp>
#include <mlflow/trace/exporters/otlp_measures.hpp>
#include <mlflow/trace/http/credentials.hpp>
#include <mlflow/trace/http/export_reply.hpp>
#include <mlflow/trace/http/mlflow_reply.hpp>
#include <mlflow/trace/http/otlp_client.hpp>
#include <mlflow/trace/http/secret.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/platform/worker_threads.hpp>
#include <mlflow/trace/wire/otlp_request.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/random.h>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Options of `otlp_metrics`.
template <class Transport>
struct otlp_metrics_options {
    std::string metrics_endpoint = "http://127.0.0.1:4318/v1/metrics"; ///< the whole URL, used as it is
    metric_temporality temporality = metric_temporality::cumulative;
    std::chrono::milliseconds interval{60'000}; ///< from one request to the next
    std::size_t most_attribute_sets = 2'000;    ///< of each metric, as OpenTelemetry's SDKs have it
    resource_attributes resource{{"service.name", "unknown_service"}};
    /// Sent with each request, such as a key that the receiver asks for.
    std::vector<std::pair<std::string, secret>> headers{};
    /// `basic_authorization()`, `bearer_authorization()`, or a function; none when empty. Give it over `https` only.
    credentials authorization{};
    std::chrono::milliseconds timeout{10'000};         ///< for each request
    std::chrono::milliseconds shutdown_timeout{5'000}; ///< of the destructor
    /// Told by the destructor of what was not delivered, and why.
    void (*on_notice)(const std::string& notice) = &detail::notice_to_stderr;
    typename Transport::options transport{};
};

namespace detail {

// The sums of an `otlp_metrics` in one process, and the thread that delivers them.
template <class Transport>
class otlp_metrics_worker {
    using clock = std::chrono::steady_clock;
    using append_function = bool (*)(buffer& out, const trace_data& trace);

public:
    // `append_keys` appends what a trace says of the chosen keys. `counted` is what was counted before, in the
    // process that this one was forked from.
    otlp_metrics_worker(otlp_metrics_options<Transport> options, append_function append_keys,
                        const span_account& counted)
        : options_(std::move(options)), append_keys_(append_keys), table_(options_.most_attribute_sets),
          receiver_({"metrics_endpoint",
                     options_.metrics_endpoint,
                     options_.headers,
                     {},
                     options_.authorization,
                     options_.timeout,
                     options_.transport}),
          start_unix_nano_(unix_nano()), account_(counted) {
        name_instance();
        threads_.start([this](std::size_t) { work(); });
    }
    otlp_metrics_worker(const otlp_metrics_worker&) = delete;
    otlp_metrics_worker& operator=(const otlp_metrics_worker&) = delete;

    // A last flush, if there was none. Ends the thread and the worker, whatever the transport does.
    void end() noexcept {
        std::unique_lock guard(lock_);
        if (!stopping_) {
            guard.unlock();
            shutdown(deadline_after(options_.shutdown_timeout));
            guard.lock();
        }
        ending_ = true;
        const std::uint64_t left = taken_ - delivered_;
        guard.unlock();
        wake_.notify_all();
        const auto tell = [&] {
            const std::string why = last_error();
            options_.on_notice("otlp_metrics: the values of " + std::to_string(left) + " spans were not delivered: " +
                               (why.empty() ? "the receiver has not answered in time" : why));
        };
        if (left != 0 && options_.on_notice) guarded(tell, [] {});
        threads_.end();
    }

    [[nodiscard]] bool is_of_this_process() const noexcept { return process_ == machine::process(); }

    void accept(const trace_batch& traces) noexcept {
        for (const trace_data& trace : traces)
            for (const span_data* span = trace.spans; span; span = span->next) accept(trace, *span);
    }

    // `gives_up`: as soon as an attempt fails.
    bool flush(clock::time_point deadline, bool gives_up = false) {
        std::unique_lock guard(lock_);
        const std::uint64_t target = taken_;
        const std::uint64_t before = finished_ + (is_delivering_ ? 1 : 0);
        if (delivered_ >= target) return true;
        is_asked_ = true;
        ++waiting_;
        wake_.notify_one();
        const auto is_over = [&] { return delivered_ >= target || (gives_up && finished_ > before); };
        if (!threads_.is_own_thread()) done_.wait_until(guard, deadline, is_over); // it would wait for itself
        --waiting_;
        return delivered_ >= target;
    }
    bool shutdown(clock::time_point deadline) {
        {
            const std::lock_guard guard(lock_);
            stopping_ = true;
        }
        return flush(deadline, true);
    }

    [[nodiscard]] span_account account() {
        const std::lock_guard guard(lock_);
        return account_now();
    }
    // Without the lock.
    [[nodiscard]] span_account account_now() const noexcept {
        span_account counted = account_;
        counted.queued = taken_ - delivered_;
        return counted;
    }
    [[nodiscard]] std::string last_error() {
        const std::lock_guard guard(lock_);
        return last_error_;
    }

private:
    static std::uint64_t unix_nano() noexcept {
        using namespace std::chrono;
        return static_cast<std::uint64_t>(duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count());
    }

    // Several processes of one service are several streams of values, which only this attribute tells apart.
    void name_instance() {
        constexpr std::string_view instance = "service.instance.id";
        for (const auto& [key, value] : options_.resource)
            if (key == instance) return;
        std::uint64_t random[2] = {start_unix_nano_, reinterpret_cast<std::uintptr_t>(this)};
        static_cast<void>(getrandom(random, sizeof random, 0));
        options_.resource.emplace_back(instance, uuid_v7(start_unix_nano_ / 1'000'000, random[0], random[1]).view());
    }

    void accept(const trace_data& trace, const span_data& span) noexcept {
        const auto measure = [&] {
            const measured_span measured = measured_span::of(trace, span);
            const std::lock_guard guard(lock_);
            if (stopping_ || threads_.is_own_thread()) { // what its own transport records would never end
                ++account_.dropped;
                return;
            }
            if (add(trace, measured)) ++taken_;
            else fail();
        };
        const auto fail_unlocked = [this] {
            const std::lock_guard guard(lock_);
            fail();
        };
        guarded(measure, fail_unlocked);
    }
    void fail() noexcept {
        ++account_.failed;
        guarded([this] { last_error_ = no_memory; }, [] {}); // counted all the same
    }

    // All of the span, or nothing: false, or std::bad_alloc, where memory runs out.
    bool add(const trace_data& trace, const measured_span& span) {
        struct value {
            histogram_series* series;
            metric_number metric;
            double amount;
        };
        value values[4];
        std::size_t count = 0;
        bool is_whole = true;
        const auto find = [&](metric_number metric, double amount, std::string_view token_type = {}) {
            is_whole = write_attributes(metric, trace, span, token_type) && is_whole;
            values[count++] = {&table_.find_or_add(metric, attributes_.view()), metric, amount};
        };
        if (span.timed) find(*span.timed, span.seconds);
        if (span.is_client() && span.first_chunk) find(time_to_first_chunk, *span.first_chunk);
        if (span.input_tokens) find(token_usage, static_cast<double>(*span.input_tokens), "input");
        if (span.output_tokens) find(token_usage, static_cast<double>(*span.output_tokens), "output");
        for (std::size_t i = 0; i < count && is_whole; ++i)
            values[i].series->recent.add(values[i].amount, metrics[values[i].metric]);
        return is_whole;
    }

    bool write_attributes(metric_number metric, const trace_data& trace, const measured_span& span,
                          std::string_view token_type) {
        attributes_.clear();
        const auto append = [&](std::string_view key, std::string_view text) {
            return text.empty() || append_text_attribute(attributes_, otlp::attributes, key, text);
        };
        const bool is_timed = metric != time_to_first_chunk && metric != token_usage;
        bool is_whole = append_keys_(attributes_, trace) && (!is_timed || append("error.type", span.error));
        switch (metric) {
        case agent_duration:
            return is_whole && append("gen_ai.agent.name", span.name) && append("gen_ai.request.model", span.model);
        case tool_duration: return is_whole && append("gen_ai.tool.name", span.name);
        case workflow_duration: return is_whole && append("gen_ai.workflow.name", span.name);
        default:
            return is_whole && append("gen_ai.operation.name", span.operation) &&
                   append("gen_ai.provider.name", span.provider) && append("gen_ai.request.model", span.model) &&
                   append("gen_ai.token.type", token_type);
        }
    }

    void work() {
        std::unique_lock guard(lock_);
        auto due = deadline_after(options_.interval);
        auto again = clock::now(); // while a flush waits, after an attempt that failed
        auto pause = shortest_pause;
        while (!ending_) {
            const auto now = clock::now();
            is_asked_ = is_asked_ && delivered_ < taken_;
            if (stopping_ && delivered_ == taken_) {
                wake_.wait(guard);
                continue;
            }
            const bool is_waited_for = waiting_ > 0 && delivered_ < taken_;
            if (!is_asked_ && now < due && !(is_waited_for && now >= again)) {
                wake_.wait_until(guard, is_waited_for ? std::min(due, again) : due);
                continue;
            }
            is_asked_ = false;
            is_delivering_ = true;
            const auto wait = deliver(guard);
            is_delivering_ = false;
            ++finished_;
            pause = delivered_ == taken_ ? shortest_pause : std::min(2 * pause, longest_pause);
            due = deadline_after(std::max(options_.interval, wait));
            again = deadline_after(std::max(pause, wait));
            done_.notify_all();
        }
    }

    struct delivery {
        bool has_arrived = false;
        bool is_rejected = false; // in part, by a receiver that has taken the rest
        std::string error{};
        std::chrono::milliseconds wait{0}; // asks the receiver
    };

    // Gives how long to wait for the next.
    std::chrono::milliseconds deliver(std::unique_lock<std::mutex>& guard) noexcept {
        const std::uint64_t covered = taken_;
        const auto attempt = [&] {
            if (!table_.collect()) return delivery{true, false, {}, {}}; // nothing to send
            guard.unlock();
            return post();
        };
        delivery done = guarded(attempt, [] { return without_memory(); });
        if (!guard.owns_lock()) guard.lock();
        if (!done.has_arrived || done.is_rejected) last_error_.swap(done.error);
        const bool is_delta = options_.temporality == metric_temporality::delta;
        if (done.has_arrived && (is_delta || !done.is_rejected)) {
            (done.is_rejected ? account_.failed : account_.exported) += covered - delivered_;
            delivered_ = covered;
            if (is_delta) table_.forget_delivered();
            if (is_delta) start_unix_nano_ = std::max(now_unix_nano_, start_unix_nano_);
        }
        constexpr std::chrono::milliseconds longest = std::chrono::minutes(10);
        return std::min(done.wait, longest);
    }

    // Without the lock.
    delivery post() {
        // Behind the last one, also where the clock was set back.
        now_unix_nano_ = std::max(unix_nano(), std::max(now_unix_nano_, start_unix_nano_) + 1);
        body_.clear();
        if (!table_.append_request(body_, options_.resource, options_.temporality, start_unix_nano_, now_unix_nano_))
            return without_memory();
        const auto reply = receiver_.post(body_.view());
        body_.clear_to(kept_request);
        delivery done;
        if (!reply) {
            done.error = reply.error().message();
            done.wait = reply.error().retry_after();
        } else if (const auto told = read_export_reply(*reply); !told) {
            done.error = receiver_.unproven(*reply).message();
        } else {
            done.has_arrived = true;
            done.is_rejected = told->rejected_spans != 0;
            if (done.is_rejected)
                done.error = "the receiver rejected " + std::to_string(told->rejected_spans) +
                             " data points: " + one_line(receiver_.secrets().masked(told->message));
        }
        return done;
    }

    static delivery without_memory() noexcept {
        delivery failed;
        guarded([&] { failed.error = no_memory; }, [] {});
        return failed;
    }

    static constexpr const char* no_memory = "out of memory while metrics were put together";
    static constexpr std::chrono::milliseconds shortest_pause{50}; // between attempts while somebody waits
    static constexpr std::chrono::milliseconds longest_pause{5'000};

    [[no_unique_address]] const pools_at_the_end at_the_end_{};
    otlp_metrics_options<Transport> options_;
    append_function append_keys_;
    const std::uint32_t process_ = machine::process();
    std::mutex lock_;
    std::condition_variable wake_;
    std::condition_variable done_;
    histogram_table table_;
    buffer attributes_;               // of the value under way
    otlp_client<Transport> receiver_; // the thread's own, as the next three
    buffer body_;
    std::uint64_t start_unix_nano_;
    std::uint64_t now_unix_nano_ = 0;
    span_account account_;
    std::string last_error_;
    std::uint64_t taken_ = 0; // spans
    std::uint64_t delivered_ = 0;
    std::uint64_t finished_ = 0; // attempts
    std::size_t waiting_ = 0;    // flushes
    bool is_asked_ = false;      // by a flush
    bool is_delivering_ = false;
    bool stopping_ = false;
    bool ending_ = false;
    worker_threads<otlp_metrics_worker> threads_{*this}; // last: it uses all the others
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
