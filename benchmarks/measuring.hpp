// SPDX-License-Identifier: Apache-2.0
// Cases that are measured in turn in one process, and their figures as JSON.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <dlfcn.h>
#include <fstream>
#include <functional>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace benchmarks {

inline double now_nano() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Binds the calling thread to a processor, if there are that many.
inline void bind_to(int processor) noexcept {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(processor), &set);
    static_cast<void>(pthread_setaffinity_np(pthread_self(), sizeof set, &set));
}

// All of memory may have been read.
inline void keep(const void* data) noexcept { asm volatile("" : : "r"(data) : "memory"); }

// Nanoseconds for each of `units` pieces of work.
template <class Work>
double nano_per_unit(std::size_t units, Work&& work) {
    const double begin = now_nano();
    work();
    return (now_nano() - begin) / static_cast<double>(units);
}

// The number of blocks that the process has allocated, from counted_malloc.cpp, or null where it is not preloaded.
using allocation_counter = long (*)();
inline allocation_counter counted_allocations() noexcept {
    return reinterpret_cast<allocation_counter>(::dlsym(RTLD_DEFAULT, "mlflow_trace_counted_allocations"));
}

struct figure {
    std::string name;
    std::size_t units;              // spans in a call of `run`
    std::function<double()> run;    // returns nanoseconds per span
    std::function<void()> settle{}; // after each call, not measured
    std::vector<double> measured{};
    double allocations = -1;

    double once() {
        const double nano = run();
        if (settle) settle();
        return nano;
    }
};

class figures {
public:
    template <class Run>
    void add(std::string name, std::size_t units, Run run, std::function<void()> settle = {}) {
        all_.push_back({std::move(name), units, std::move(run), std::move(settle)});
    }

    // Each case once per repetition, in turn, so that all of them meet the same disturbances.
    void measure(int repetitions) {
        for (int warm = 0; warm < 3; ++warm)
            for (figure& each : all_) each.once();
        for (int repetition = 0; repetition < repetitions; ++repetition)
            for (figure& each : all_) each.measured.push_back(each.once());
    }

    // The fewest of some rounds: the pools may still grow in the first ones.
    void count(allocation_counter counted) {
        for (int round = 0; round < 8; ++round)
            for (figure& each : all_) {
                const long before = counted();
                each.once();
                const double found = static_cast<double>(counted() - before) / static_cast<double>(each.units);
                if (each.allocations < 0 || found < each.allocations) each.allocations = found;
            }
    }

    void write_json(std::FILE* to) {
        std::fprintf(to, "{");
        for (std::size_t i = 0; i < all_.size(); ++i) {
            figure& each = all_[i];
            std::sort(each.measured.begin(), each.measured.end());
            std::fprintf(to, "%s\n    \"%s\": {", i == 0 ? "" : ",", each.name.c_str());
            if (!each.measured.empty())
                std::fprintf(to, "\"minimum\": %.2f, \"median\": %.2f, \"repetitions\": %zu", each.measured.front(),
                             each.measured[each.measured.size() / 2], each.measured.size());
            else std::fprintf(to, "\"allocations\": %.4f", each.allocations);
            std::fprintf(to, "}");
        }
        std::fprintf(to, "\n  }");
    }

private:
    std::vector<figure> all_;
};

inline std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
    return "unknown";
}

inline constexpr std::string_view compiler_name =
#if defined(__clang__)
    "clang " __clang_version__;
#else
    "g++ " __VERSION__;
#endif

} // namespace benchmarks
