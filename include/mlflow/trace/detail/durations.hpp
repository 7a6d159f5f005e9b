// SPDX-License-Identifier: Apache-2.0
#pragma once

// std::chrono's durations and clocks, as far as the interfaces use them. In libstdc++ and libc++ <shared_mutex>
// declares them for std::shared_timed_mutex. <chrono> would add calendars, time zones and streams: 10,000 lines in
// every translation unit.
#include <shared_mutex>
