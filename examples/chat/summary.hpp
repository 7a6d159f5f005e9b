// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace.hpp>

#include <cstdint>
#include <cstdio>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace chat {

namespace mt = mlflow::trace;

/// Counts what was recorded, by user and by session. Thread-safety: all functions may be called from any thread.
class summary {
public:
    void add(const mt::trace_data& data) {
        const mt::recorded_trace trace = mt::decode(data);
        const mt::recorded_span* const root = trace.root();
        if (!root) return;
        const std::string user =
            trace.metadata.contains("mlflow.trace.user") ? trace.metadata["mlflow.trace.user"] : "(anonymous)";
        const std::string session =
            trace.metadata.contains("mlflow.trace.session") ? trace.metadata["mlflow.trace.session"] : "(no session)";
        const std::lock_guard guard(lock_);
        users_[user].add(*root, trace);
        users_[user].sessions.insert(session);
        sessions_[{user, session}].add(*root, trace);
    }

    void print() const {
        const std::lock_guard guard(lock_);
        std::printf("\n%-24s %8s %6s %7s %11s\n", "USER", "SESSIONS", "TURNS", "FAILED", "MEAN MS");
        for (const auto& [user, counted] : users_)
            std::printf("%s %8zu %6d %7d %11.3f\n", padded(mt::detail::displayed(user), 24).c_str(),
                        counted.sessions.size(), counted.turns, counted.failed, counted.mean_ms());
        std::printf("\n%-24s %-24s %6s %7s %7s %11s\n", "SESSION", "USER", "TURNS", "FAILED", "SPANS", "MEAN MS");
        for (const auto& [key, counted] : sessions_)
            std::printf("%s %s %6d %7d %7zu %11.3f\n", padded(mt::detail::displayed(key.second), 24).c_str(),
                        padded(mt::detail::displayed(key.first), 24).c_str(), counted.turns, counted.failed,
                        counted.spans, counted.mean_ms());
    }

private:
    struct counts {
        int turns = 0;
        int failed = 0;
        std::size_t spans = 0;
        std::uint64_t nano = 0;
        std::set<std::string> sessions;

        void add(const mt::recorded_span& root, const mt::recorded_trace& trace) {
            ++turns;
            failed += root.code == mt::status::error ? 1 : 0;
            spans += trace.spans.size();
            nano += root.end_unix_nano - root.start_unix_nano;
        }
        double mean_ms() const { return static_cast<double>(nano) / 1e6 / turns; }
    };

    /// Pads with spaces, or truncates with an ellipsis, to this number of columns. East Asian characters and emoji
    /// take two columns.
    static std::string padded(const std::string& text, int columns) {
        std::string shown;
        int used = 0;
        for (std::size_t at = 0; at < text.size();) {
            const auto lead = static_cast<unsigned char>(text[at]);
            const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
            const int width = lead < 0xe1 ? 1 : 2;
            if (used + width > columns - 1 && at + length < text.size()) {
                shown += "…";
                ++used;
                break;
            }
            shown.append(text, at, length);
            used += width;
            at += length;
        }
        return used < columns ? shown + std::string(static_cast<std::size_t>(columns - used), ' ') : shown;
    }

    mutable std::mutex lock_;
    std::map<std::string, counts> users_;
    std::map<std::pair<std::string, std::string>, counts> sessions_;
};

/// A custom exporter that wraps another one and counts the traces.
template <class Exporter>
class counting : public mt::exporter_adaptor<Exporter> {
    using adaptor = mt::exporter_adaptor<Exporter>;

public:
    struct options {
        typename adaptor::inner_options exporter{};
        summary* into = nullptr;
    };
    explicit counting(options chosen) : adaptor(std::move(chosen.exporter)), into_(chosen.into) {}

    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome = adaptor::export_traces(batch);
        if (outcome.ok())
            for (const mt::trace_data& trace : batch) into_->add(trace);
        return outcome;
    }

private:
    summary* into_;
};

} // namespace chat
