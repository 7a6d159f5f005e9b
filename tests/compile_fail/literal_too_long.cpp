// SPDX-License-Identifier: Apache-2.0
// error: a_literal_must_be_1_to_max_printable_characters_that_pass_the_keys_checks_else_use_parse
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
mt::client_request_id make() { return mt::client_request_id{"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}; }
#else
mt::client_request_id make() { return mt::client_request_id{"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}; }
#endif
