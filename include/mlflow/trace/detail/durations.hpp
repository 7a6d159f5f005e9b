// SPDX-License-Identifier: Apache-2.0
#pragma once

// std::chrono's durations and clocks as far as interfaces name them. In libstdc++ and libc++ <shared_mutex> declares
// them, since std::shared_timed_mutex takes them; <chrono> brings calendars, time zones and streams, 10,000 lines
// more for every user.
#include <shared_mutex>
