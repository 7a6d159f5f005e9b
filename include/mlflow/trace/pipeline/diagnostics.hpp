// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/detail/interval.hpp>
#include <mlflow/trace/text/displayed.hpp>

#include <cstdio>
#include <string>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

inline void write_to_standard_error(void*, std::string_view line) noexcept {
    std::fwrite(line.data(), 1, line.size(), stderr);
}

} // namespace detail

/// Where problems of delivery are logged, and how often: `.diagnostics = {.interval = std::chrono::minutes(5)}`.
struct diagnostics {
    /// Called with one line that ends in a newline and holds no credentials. The calling thread is the one that found
    /// the problem: a recording thread if the queue is full. Null disables logging.
    void (*write)(void* context, std::string_view line) noexcept = &detail::write_to_standard_error;
    /// The first argument of `write`.
    void* context = nullptr;
    std::chrono::milliseconds interval{30'000}; ///< the shortest time between two lines
};

namespace detail {

// Logs to a `diagnostics`. Thread-safe.
class diagnostic_line {
public:
    explicit diagnostic_line(const diagnostics& to) noexcept : to_(to) {}

    // `describe` returns the text; it is called only if a line is due.
    template <class Describe>
    void say(const Describe& describe) noexcept {
        using std::chrono::steady_clock;
        if (!to_.write) return;
        const auto now =
            std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now().time_since_epoch());
        if (interval_.is_due(now.count(), to_.interval.count())) say_at_once(describe);
    }

    // Ignores the interval: for the last line of an exporter.
    template <class Describe>
    void say_at_once(const Describe& describe) noexcept {
        if (!to_.write) return;
        guarded([&] { to_.write(to_.context, "mlflow_trace: " + displayed(describe()) + '\n'); }, [] {});
    }

private:
    diagnostics to_;
    interval interval_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
