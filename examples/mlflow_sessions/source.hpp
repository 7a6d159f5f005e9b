// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arguments.hpp"
#include "table.hpp"

#include <cstddef>
#include <iostream>
#include <utility>
#include <variant>

// The source of a command, a server or a file, with a progress display for long searches on a terminal.
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

    /// Null if the source is of the other kind.
    [[nodiscard]] arguments::server* server() { return std::get_if<arguments::server>(&opened_); }
    [[nodiscard]] mlflow::trace::trace_file* file() { return std::get_if<mlflow::trace::trace_file>(&opened_); }

    /// Disables the progress line, for commands that draw on the terminal themselves.
    void be_quiet() { is_quiet_ = true; }

    /// Prints what the last search of a file skipped.
    void tell_damage() {
        if (!file()) return;
        const auto tell = [](std::size_t count, const char* one, const char* several) {
            if (count == 1) std::cerr << "mlflow_sessions: 1 " << one << " was skipped and is not counted\n";
            else if (count > 0)
                std::cerr << "mlflow_sessions: " << count << ' ' << several << " were skipped and are not counted\n";
        };
        tell(file()->damaged_lines(), "damaged line", "damaged lines");
        tell(file()->other_lines(), "line without traces", "lines without traces");
        tell(file()->damaged_spans(), "span without IDs", "spans without IDs");
    }

private:
    // The progress line; erased when the search ends.
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
