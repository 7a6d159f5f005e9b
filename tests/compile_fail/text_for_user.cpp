// SPDX-License-Identifier: Apache-2.0
// error: text_that_parse_must_check
#include <mlflow/trace.hpp>

#include <string>

namespace mt = mlflow::trace;
#ifdef TWIN
mt::user make(const std::string& text) { return mt::user::parse(text).value(); }
#else
mt::user make(const std::string& text) { return mt::user{text}; }
#endif
