// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/slot.hpp>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// Nothing ambient: a span nests under the one whose `start_span` made it. There are no scopes.
class explicit_context {
public:
    static constexpr bool is_ambient = false;
    static context_slot* slot() noexcept { return nullptr; }
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
