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
    std::string metrics_endpoint = "http://127.0.0.1:4318/v1/metrics"; ///< the whole URL; nothing is appended
    /// What a value covers. Change it to `delta` if the receiver requires that.
    metric_temporality temporality = metric_temporality::cumulative;
    /// The time between two requests. Lower it if alarms must react sooner.
    std::chrono::milliseconds interval{60'000};
    /// The limit for each metric; OpenTelemetry's SDKs have the same. Raise it if the keys have more values: each set
    /// is a time series in the receiver.
    std::size_t most_attribute_sets = 2'000;
    /// OpenTelemetry's resource.
    resource_attributes resource{{"service.name", "unknown_service"}};
    /// Headers sent with each request, for example an API key.
    std::vector<std::pair<std::string, secret>> headers{};
    /// `basic_authorization()`, `bearer_authorization()`, or a function. Empty: no credentials. Use them over `https`
    /// only.
    credentials authorization{};
    std::chrono::milliseconds timeout{10'000};         ///< for each request
    std::chrono::milliseconds shutdown_timeout{5'000}; ///< how long the destructor waits
    /// Called by the destructor with the number of spans whose values were not delivered, and the reason.
    void (*on_notice)(const std::string& notice) = &detail::notice_to_stderr;
    /// Options of the transport.
    typename Transport::options transport{};
};

namespace detail {

// The metrics of an `otlp_metrics` in one process, and the thread that delivers them.
template <class Transport>
class otlp_metrics_worker {
    using clock = std::chrono::steady_clock;
    using append_function = bool (*)(buffer& out, const trace_data& trace);

public:
    // `append_keys` appends the trace's values of the chosen keys. `counted` is the account of the process that this
    // one was forked from.
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

    // A final flush, unless there was one. Then ends the thread and the worker even if the transport does not return.
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
            const error why = last_error();
            options_.on_notice("otlp_metrics: the values of " + std::to_string(left) + " spans were not delivered: " +
                               (why ? why.message() : "the receiver did not respond before the deadline"));
        };
        if (left != 0 && options_.on_notice) guarded(tell, [] {});
        threads_.end();
    }

    [[nodiscard]] bool is_of_this_process() const noexcept { return process_ == machine::process(); }

    void accept(const trace_batch& traces) noexcept {
        for (const trace_data& trace : traces)
            for (const span_data* span = trace.spans; span; span = span->next) accept(trace, *span);
    }

    // `gives_up`: return after the first failed attempt.
    bool flush(clock::time_point deadline, bool gives_up = false) {
        std::unique_lock guard(lock_);
        const std::uint64_t target = taken_;
        const std::uint64_t before = finished_ + (is_delivering_ ? 1 : 0);
        if (delivered_ >= target) return true;
        is_asked_ = true;
        ++waiting_;
        wake_.notify_one();
        const auto is_over = [&] { return delivered_ >= target || (gives_up && finished_ > before); };
        // This thread would wait for itself.
        if (!threads_.is_own_thread()) done_.wait_until(guard, deadline, is_over);
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
    // Does not take the lock.
    [[nodiscard]] span_account account_now() const noexcept {
        span_account counted = account_;
        counted.queued = taken_ - delivered_;
        return counted;
    }
    [[nodiscard]] error last_error() {
        const std::lock_guard guard(lock_);
        return last_error_;
    }

private:
    static std::uint64_t unix_nano() noexcept {
        using namespace std::chrono;
        return static_cast<std::uint64_t>(duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count());
    }

    // The receiver tells the values of several processes of one service apart by this attribute only.
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
            if (stopping_ || threads_.is_own_thread()) { // else a transport that records would export endlessly
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
        last_error_ = no_memory();
    }

    // Adds all values of the span, or none if memory runs out: it returns false or throws std::bad_alloc.
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
        if (span.input_tokens) find(used_tokens, static_cast<double>(*span.input_tokens), "input");
        if (span.output_tokens) find(used_tokens, static_cast<double>(*span.output_tokens), "output");
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
        const bool is_timed = metric != time_to_first_chunk && metric != used_tokens;
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
        auto again = clock::now(); // the next retry while a flush waits
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
        bool is_rejected = false; // in part; the receiver accepted the rest
        mlflow::trace::error error{};
        std::chrono::milliseconds wait{0}; // as the receiver asks
    };

    // Returns how long to wait before the next attempt.
    std::chrono::milliseconds deliver(std::unique_lock<std::mutex>& guard) noexcept {
        const std::uint64_t covered = taken_;
        const auto attempt = [&] {
            if (!table_.collect()) return delivery{true, false, {}, {}}; // nothing to send
            guard.unlock();
            return post();
        };
        delivery done = guarded(attempt, [] { return without_memory(); });
        if (!guard.owns_lock()) guard.lock();
        if (!done.has_arrived || done.is_rejected) last_error_ = std::move(done.error);
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

    // Called without the lock.
    delivery post() {
        // Later than the previous time, even if the clock was set back.
        now_unix_nano_ = std::max(unix_nano(), std::max(now_unix_nano_, start_unix_nano_) + 1);
        body_.clear();
        if (!table_.append_request(body_, options_.resource, options_.temporality, start_unix_nano_, now_unix_nano_))
            return without_memory();
        const auto reply = receiver_.post(body_.view());
        body_.clear_to(kept_request);
        delivery done;
        if (!reply) {
            done.error = reply.error();
            done.wait = reply.error().retry_after();
        } else if (const auto told = read_export_reply(*reply); !told) {
            done.error = receiver_.unproven(*reply);
        } else {
            done.has_arrived = true;
            done.is_rejected = told->rejected_spans != 0;
            if (done.is_rejected)
                done.error = error(error_kind::other, {},
                                   "the receiver rejected " + std::to_string(told->rejected_spans) +
                                       " data points: " + one_line(receiver_.secrets().masked(told->message)));
        }
        return done;
    }

    static delivery without_memory() noexcept {
        delivery failed;
        failed.error = no_memory();
        return failed;
    }

    static error no_memory() noexcept {
        return {error_kind::out_of_memory, {}, "out of memory while collecting metrics"};
    }
    static constexpr std::chrono::milliseconds shortest_pause{50}; // between attempts while a flush waits
    static constexpr std::chrono::milliseconds longest_pause{5'000};

    [[no_unique_address]] const pools_at_the_end at_the_end_{};
    otlp_metrics_options<Transport> options_;
    append_function append_keys_;
    const std::uint32_t process_ = machine::process();
    std::mutex lock_;
    std::condition_variable wake_;
    std::condition_variable done_;
    histogram_table table_;
    buffer attributes_;               // of the current value
    otlp_client<Transport> receiver_; // this and the next three members are used only by the background thread
    buffer body_;
    std::uint64_t start_unix_nano_;
    std::uint64_t now_unix_nano_ = 0;
    span_account account_;
    error last_error_;
    std::uint64_t taken_ = 0;
    std::uint64_t delivered_ = 0;
    std::uint64_t finished_ = 0; // attempts
    std::size_t waiting_ = 0;    // flushes
    bool is_asked_ = false;      // by a flush
    bool is_delivering_ = false;
    bool stopping_ = false;
    bool ending_ = false;
    worker_threads<otlp_metrics_worker> threads_{*this}; // last, because the thread uses all other members
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
