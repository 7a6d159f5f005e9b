// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/cancellation.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/platform/without_signals.hpp>

#include <optional>
#include <thread>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Work on a thread of its own, which ends before this does. `Answer` is a result, which is
// also what an exception becomes.
template <class Answer>
class background {
public:
    template <class Work>
    explicit background(Work work) {
        const auto run = [this, work]() noexcept {
            answer_.emplace(guarded_by_reason(work, [](const char* why) -> Answer {
                return failure{error(error_kind::other, {}, why ? why : "unknown exception")};
            }));
        };
        const auto start = [&] {
            const without_signals blocked;
            thread_ = std::thread(run);
        };
        guarded(start, run); // no thread to be had: at once
    }
    background(const background&) = delete;
    background& operator=(const background&) = delete;
    ~background() { join(); }

    // Once.
    [[nodiscard]] Answer get() {
        join();
        return std::move(*answer_);
    }

private:
    void join() {
        const without_cancellation whole;
        if (thread_.joinable()) thread_.join();
    }

    std::optional<Answer> answer_;
    std::thread thread_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
