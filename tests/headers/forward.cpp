// SPDX-License-Identifier: Apache-2.0
// A header of an application that names the library's types and defines none of them.
#include "forward.hpp"

std::size_t spans_of(const parts& all) { return all.traces ? count_in(all.trace, all.account) : 0; }
