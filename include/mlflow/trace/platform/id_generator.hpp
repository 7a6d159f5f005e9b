// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/memory/forks.hpp>

#include <bit>
#include <cstdint>
#include <ctime>
#include <sys/random.h>
#include <unistd.h>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// xoshiro256++ 1.0 by Blackman and Vigna (public domain, https://prng.di.unimi.it/). IDs need not be secret, only
// distinct across all processes; the seed of 256 bits from the kernel ensures that.
class id_generator {
public:
    std::uint64_t next() noexcept {
        if (seeded_in_ != fork_counter().load(memory_order_relaxed)) [[unlikely]]
            seed();
        const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
        const std::uint64_t shifted = state_[1] << 17U;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

private:
    __attribute__((noinline)) void seed() noexcept {
        seeded_in_ = fork_count(); // 0 means "never seeded"
        if (getrandom(state_, sizeof state_, GRND_NONBLOCK) == static_cast<ssize_t>(sizeof state_)) return;
        // Early at boot, the kernel may have no entropy yet: mixes values that differ between threads.
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        std::uint64_t mixed = static_cast<std::uint64_t>(now.tv_nsec) ^
                              static_cast<std::uint64_t>(now.tv_sec) << 30U ^
                              static_cast<std::uint64_t>(getpid()) << 48U ^
                              static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(this));
        for (std::uint64_t& word : state_) { // splitmix64, as the authors of xoshiro recommend
            mixed += 0x9e3779b97f4a7c15U;
            std::uint64_t z = mixed;
            z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
            z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
            word = z ^ (z >> 31U);
        }
    }

    std::uint64_t state_[4]{};
    std::uint32_t seeded_in_ = 0;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
