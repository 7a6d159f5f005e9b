// SPDX-License-Identifier: Apache-2.0
// error: a_literal_must_be_1_to_max_printable_characters_that_pass_the_keys_checks_else_use_parse
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
mt::user make() { return mt::user{"u"}; }
#else
mt::user make() { return mt::user{"a\nb"}; }
#endif
