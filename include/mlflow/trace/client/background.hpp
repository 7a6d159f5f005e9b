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

// Runs a function on its own thread, which ends before this object does. `Answer` is a result; an exception becomes
// an error.
template <class Answer>
class background {
public:
    template <class Work>
    explicit background(const Work& work) {
        const auto run = [this, work]() noexcept {
            answer_.emplace(guarded_by_reason(work, [](const char* why) -> Answer {
                return failure{error(error_kind::other, {}, why ? why : "unknown exception")};
            }));
        };
        const auto start = [&] {
            const without_signals blocked;
            thread_ = std::thread(run);
        };
        guarded(start, run); // if no thread can be started, runs it here
    }
    background(const background&) = delete;
    background& operator=(const background&) = delete;
    ~background() { join(); }

    // May be called once.
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
