// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

/// From now on the clock of a program that is linked with paced_clock.cpp runs so many times as fast as time: what it
/// reads from the system, sleeps, and waits for on condition variables. By one thread at a time.
void run_clock(std::int64_t pace);
