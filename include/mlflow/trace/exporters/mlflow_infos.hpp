// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/export_progress.hpp>
#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/exporters/mlflow_api.hpp>
#include <mlflow/trace/http/client.hpp>
#include <mlflow/trace/http/export_reply.hpp>
#include <mlflow/trace/http/outcome.hpp>
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/memory/owner.hpp>
#include <mlflow/trace/platform/threads.hpp>
#include <mlflow/trace/platform/without_signals.hpp>
#include <mlflow/trace/text/exception_text.hpp>
#include <mlflow/trace/text/json_reader.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Whether the response shows that the server has stored the info of this trace.
inline bool is_stored_info(std::string_view body, const trace_id& id) {
    return json_find_string(body, {"trace", "trace_info", "trace_id"}) == std::string(id.mlflow_id().view());
}

// The progress of an export: spans waiting for a response, or traces waiting for their additional requests.
// Thread-safe.
class mlflow_progress {
    using clock = std::chrono::steady_clock;

public:
    void begin(std::size_t traces) noexcept {
        done_ = 0;
        since_ = clock::now().time_since_epoch().count();
        traces_ = traces;
    }
    void one_more() noexcept {
        ++done_;
        ++steps_;
    }
    void end() noexcept { traces_ = 0; }
    // A request with this number of spans was sent; `answered` is called after its response.
    void ask(std::size_t spans) noexcept {
        since_ = clock::now().time_since_epoch().count();
        asked_ = spans;
    }
    void answered(bool is_taken) noexcept {
        asked_ = 0;
        if (is_taken) ++steps_;
    }

    [[nodiscard]] export_progress now() const {
        export_progress told{steps_};
        const std::chrono::duration<double> taken =
            clock::duration(clock::now().time_since_epoch().count() - since_.load());
        if (const std::size_t spans = asked_; spans > 0)
            told.waits_for = "the server has not responded to " + std::to_string(spans) + " spans for " +
                             std::to_string(static_cast<std::size_t>(taken.count())) + " s";
        const std::size_t all = traces_, done = done_;
        if (all <= done) return told;
        told.waits_for = "request IDs and metadata of " + std::to_string(all - done) + " traces are still to be sent";
        if (done > 0 && taken.count() > 0)
            told.waits_for +=
                ", " + std::to_string(static_cast<std::size_t>(static_cast<double>(done) / taken.count() + 0.5)) +
                "/s";
        return told;
    }

private:
    atomic<std::size_t> asked_{0};
    atomic<std::size_t> traces_{0};
    atomic<std::size_t> done_{0};
    atomic<clock::rep> since_{0};
    atomic<std::uint64_t> steps_{0};
};

// What the exports of one exporter have found out about the server. Thread-safe.
struct mlflow_experience {
    atomic<int> link_failures{0}; // calls of `mlflow_infos::send` in a row in which prompts could not be linked
    // Whether the server says where the spans of a trace are, if it has them. A database that fails in the middle may
    // leave a trace without them, although the server responded 200 to the request with the spans.
    atomic<bool> tells_of_spans{false}; // it has done so
    atomic<bool> is_recent{false};      // MLflow 3.17 does so, from the first trace on
    atomic<int> missing_spans{0};       // responses in a row that did not say so, although others had
};

// The tag that lists the linked prompts as JSON.
inline constexpr std::string_view linked_prompts = "mlflow.linkedPrompts";

// Sends the info of several traces on several connections. The server needs one transaction for each trace, and
// processes several connections faster than one.
template <class Transport>
class mlflow_infos {
public:
    using failed = std::optional<error>;
    using connection = http_client<Transport>;

    // The result for one trace. `is_tried` stays false if the request was not sent, because the server had become
    // unreachable or `is_interrupted` was set.
    struct answer {
        const trace_data* trace = nullptr;
        bool is_tried = false;
        failed error{};
    };

    mlflow_infos(std::string_view experiment_id, const run_metadata& run, const atomic<bool>& is_interrupted,
                 mlflow_progress& progress, mlflow_experience& experience)
        : experiment_id_(experiment_id), run_(run), is_interrupted_(is_interrupted), progress_(progress),
          experience_(experience) {}

    // This thread uses `first`. Each of `others` gets a thread of its own while there is enough to do.
    void send(std::vector<answer>& answers, connection& first, std::vector<owner<connection>>& others) {
        progress_.begin(answers.size());
        std::vector<thread> threads;
        const auto start = [&] {
            const without_signals blocked;
            threads.reserve(others.size());
            for (std::size_t i = 0; i < others.size() && i + 1 < answers.size(); ++i)
                threads.emplace_back([&, i] { work(answers, *others[i]); });
        };
        guarded(start, [] {}); // fewer threads are enough
        work(answers, first);
        for (thread& each : threads) each.join();
        if (has_link_failed_) ++experience_.link_failures;
        progress_.end();
    }

    // Why prompts were not linked, although the info of their trace was stored. Call it after `send`.
    [[nodiscard]] const failed& link_refusal() const noexcept { return link_refusal_; }

private:
    void work(std::vector<answer>& answers, connection& to) noexcept {
        while (!is_over_ && !is_interrupted_) {
            const std::size_t at = next_++;
            if (at >= answers.size()) return;
            answers[at].error = caught_post(*answers[at].trace, to);
            answers[at].is_tried = true;
            if (!answers[at].error) progress_.one_more();
            if (answers[at].error && outcome_of(*answers[at].error) == outcome::wait) is_over_ = true;
        }
    }

    // A transport may throw because of this trace, so that the others must go on.
    failed caught_post(const trace_data& trace, connection& to) noexcept {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
        try {
            return post(trace, to);
        } catch (const std::bad_alloc&) {
            return no_memory_for_request();
        } catch (const std::exception& thrown) {
            return error(error_kind::other, {}, what_of(thrown));
        } catch (...) {
            return error(error_kind::other, {}, "the transport threw something other than a std::exception");
        }
#else
        return post(trace, to);
#endif
    }

    failed post(const trace_data& trace, connection& to) {
        constexpr std::string_view target = "/api/3.0/mlflow/traces";
        buffer body;
        append_trace_info(body, trace, experiment_id_, run_);
        if (body.overflowed()) return no_memory_for_request();
        const http_header headers[] = {{"Content-Type", "application/json"},
                                       {"x-mlflow-experiment-id", experiment_id_}};
        const auto reply = to.send(http_method::post, target, headers, body.view());
        if (!reply) return reply.error();
        if (!is_success(reply->status)) return to.refusal(target, *reply);
        if (!is_stored_info(reply->body, trace.id)) return unproven_success(to.uri(), target, *reply);
        if (!has_spans(reply->body))
            return error(error_kind::bad_reply, to.uri(), " has stored a trace without its spans").with_reply(200);
        const auto prompts = trace.entries.find(entry_kind::tag, linked_prompts);
        return prompts.empty() ? std::nullopt : link(trace, prompts, to);
    }

    // Servers that never say so have the spans. So has one of several servers that is older than the others.
    bool has_spans(std::string_view body) {
        constexpr int most_missing = 100;
        const auto tag = [body](std::string_view key) {
            return json_find_string(body, {"trace", "trace_info", "tags", key}).has_value();
        };
        if (tag("mlflow.trace.spansLocation")) {
            experience_.tells_of_spans = true;
            experience_.missing_spans = 0;
            return true;
        }
        const bool tells = experience_.tells_of_spans || (experience_.is_recent && tag("mlflow.artifactLocation"));
        return !tells || ++experience_.missing_spans > most_missing;
    }

    // Appends the prompts of the tag as an array of name and version. False if the tag is anything else: a device or
    // a tool may have written it, and its text must not become a part of the request.
    static bool append_prompts(buffer& out, std::string_view tag) {
        const std::string_view array = json_find(tag, {});
        bool is_good = array.starts_with('[');
        out.push_back('[');
        for_each_element(array, [&](std::string_view prompt) {
            const bool has_others =
                !each_member(prompt, [](std::string_view key, auto) { return key == "name" || key == "version"; });
            const auto name = json_find_string(prompt, {"name"}), version = json_find_string(prompt, {"version"});
            is_good = is_good && !has_others && name && version;
            if (!is_good) return;
            if (!out.view().ends_with('[')) out.push_back(',');
            json_object object(out);
            static_cast<void>(object.member("name", *name).member("version", *version).close());
        });
        out.push_back(']');
        return is_good;
    }

    // Links the prompts, so that MLflow finds the trace by its prompts. A server that cannot do so keeps only the
    // tag.
    failed link(const trace_data& trace, std::string_view prompts, connection& to) {
        constexpr std::string_view target = "/api/2.0/mlflow/traces/link-prompts";
        buffer body;
        body.append(R"({"trace_id":)");
        append_json_string(body, trace.id.mlflow_id());
        body.append(R"(,"prompt_versions":)");
        if (!append_prompts(body, prompts)) return std::nullopt;
        body.append("}");
        if (body.overflowed()) return no_memory_for_request();
        const http_header headers[] = {{"Content-Type", "application/json"}};
        const auto reply = to.send(http_method::post, target, headers, body.view());
        auto refused = reply ? to.refusal(target, *reply) : reply.error();
        const int status = refused.status();
        const bool may_be_later = !reply || (tells_its_own_reason(status) && !is_not_implemented(status));
        const bool comes_later =
            may_be_later && !is_denied(status) && !is_redirect(status) && outcome_of(refused) == outcome::wait;
        if (!comes_later) experience_.link_failures = 0;
        // The info succeeded each time, so that this alone is refused.
        if (is_denied(status) || is_redirect(status) ||
            (comes_later && experience_.link_failures >= most_link_failures)) {
            if (!is_link_refused_.exchange(true)) link_refusal_ = std::move(refused);
            return std::nullopt;
        }
        if (!comes_later) return std::nullopt;
        has_link_failed_ = true;
        return refused;
    }

    // Calls of `send` in a row, because one outage meets the requests of all connections. Fewer than the rounds of a
    // slow span.
    static constexpr int most_link_failures = 4;

    std::string_view experiment_id_;
    run_metadata run_;
    const atomic<bool>& is_interrupted_;
    mlflow_progress& progress_;
    mlflow_experience& experience_;
    atomic<std::size_t> next_{0};
    atomic<bool> is_link_refused_{false};
    atomic<bool> has_link_failed_{false}; // for now
    failed link_refusal_;
    atomic<bool> is_over_{false}; // the server is unreachable or accepts nothing
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
