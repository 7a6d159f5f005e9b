// SPDX-License-Identifier: Apache-2.0
// error: the link lacks a member: bool write\(std::string_view\) noexcept
#include <mlflow/trace/device/framed.hpp>

namespace mt = mlflow::trace;
struct uart {
#ifdef TWIN
    static bool write(std::string_view) noexcept { return true; }
#else
    static bool write(std::string_view) { return true; } // may throw
#endif
};
bool sent(mt::framed_exporter<uart>& out) { return out.send(); }
