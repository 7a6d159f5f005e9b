// SPDX-License-Identifier: Apache-2.0
#pragma once

// std::chrono's durations and clocks as far as interfaces name them. In libstdc++ (of g++ 11 and newer) and libc++
// <mutex> declares them, since std::timed_mutex takes them; <chrono> brings calendars, time zones and streams, 8,000
// lines more for every user.
#include <mutex>
