// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/text/displayed.hpp>

#include <cstdio>
#include <string>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

inline void notice_to_stderr(const std::string& notice) {
    std::fputs(("mlflow_trace: " + displayed(notice) + '\n').c_str(), stderr);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
