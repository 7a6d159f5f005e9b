// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "source.hpp"
#include "table.hpp"
#include <mlflow/trace/text/percent.hpp>

#include <string>
#include <string_view>
#include <utility>

// URLs of MLflow's user interface (3.17).
class links {
public:
    /// There are none if the source is a file.
    links(source& from, const arguments::common& told) {
        if (!from.server() || !table::is_terminal(STDOUT_FILENO)) return;
        std::string uri = told.tracking_uri;
        while (uri.ends_with('/')) uri.pop_back();
        if (const auto experiment = from.server()->experiment_id(); experiment)
            experiment_ = uri + "/#/experiments/" + *experiment;
    }

    [[nodiscard]] std::string of_trace(std::string_view id) const {
        if (experiment_.empty()) return {};
        return experiment_ + "/traces?selectedEvaluationId=" + mlflow::trace::detail::percent_encoded(id);
    }
    [[nodiscard]] std::string of_session(std::string_view id) const {
        if (experiment_.empty()) return {};
        return experiment_ + "/chat-sessions/" + mlflow::trace::detail::percent_encoded(id);
    }
    /// The URL for a value in a table.
    [[nodiscard]] std::string operator()(const table::column& column, const table::json& value) const {
        if (!value.is_string()) return {};
        if (column.outer == "session") return of_session(value.get_ref<const std::string&>());
        const bool is_trace = column.outer == "trace_id" || column.outer == "last_error_trace";
        return is_trace ? of_trace(value.get_ref<const std::string&>()) : std::string();
    }

private:
    std::string experiment_;
};
