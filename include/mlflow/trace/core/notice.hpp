// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/displayed.hpp>

#include <cstdio>
#include <string>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

inline void notice_to_stderr(const std::string& notice) {
    std::fputs(("mlflow_trace: " + displayed(notice) + '\n').c_str(), stderr);
}

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
