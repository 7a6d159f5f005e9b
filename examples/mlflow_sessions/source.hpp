// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arguments.hpp"
#include "table.hpp"

#include <cstddef>
#include <iostream>
#include <utility>
#include <variant>

// What the commands read from: a server or a file, and on a terminal how far a long search is.
class source {
public:
    explicit source(const arguments::common& told) : opened_(arguments::open(told)) {}

    template <class Visit>
    mlflow::trace::search_result for_each_trace(const mlflow::trace::trace_query& query, Visit visit) {
        const progress shown(is_quiet_);
        return std::visit(
            [&](auto& from) {
                return from.for_each_trace(query, [&](const mlflow::trace::trace_info& trace) {
                    shown.count();
                    return mlflow::trace::detail::wants_more(visit, trace);
                });
            },
            opened_);
    }

    /// Null where it is the other.
    [[nodiscard]] arguments::server* server() { return std::get_if<arguments::server>(&opened_); }
    [[nodiscard]] mlflow::trace::trace_file* file() { return std::get_if<mlflow::trace::trace_file>(&opened_); }

    /// No line about the progress: for a command that draws on the terminal itself.
    void be_quiet() { is_quiet_ = true; }

    /// What the last search of a file passed over.
    void tell_damage() {
        if (!file()) return;
        for (const auto& [count, what] : {std::pair{file()->damaged_lines(), "damaged lines"},
                                          std::pair{file()->other_lines(), "lines that hold no traces"},
                                          std::pair{file()->damaged_spans(), "spans without IDs"}})
            if (count > 0)
                std::cerr << "mlflow_sessions: " << count << ' ' << what
                          << " were passed over; what they held is not counted\n";
    }

private:
    // Gone from the terminal when the search ends.
    class progress {
    public:
        explicit progress(bool is_quiet) : is_shown_(!is_quiet && table::is_terminal(STDERR_FILENO)) {}
        progress(const progress&) = delete;
        progress& operator=(const progress&) = delete;
        ~progress() {
            if (is_shown_ && count_ >= step) std::cerr << "\r\033[K" << std::flush;
        }
        void count() const {
            if (++count_ % step == 0 && is_shown_) std::cerr << "\r\033[K" << count_ << " traces…" << std::flush;
        }

    private:
        static constexpr std::size_t step = 500;
        mutable std::size_t count_ = 0;
        bool is_shown_;
    };

    arguments::source opened_;
    bool is_quiet_ = false;
};
