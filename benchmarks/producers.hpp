// SPDX-License-Identifier: Apache-2.0
// Threads that record at the same time, each on a processor of its own, and wait in between.
#pragma once

#include "measuring.hpp"

#include <algorithm>
#include <barrier>
#include <cstddef>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

namespace benchmarks {

class producers {
public:
    producers(int count, int first_processor) : begin_(count + 1), end_(count + 1), times_(std::size_t(count)) {
        const int processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
        for (int number = 0; number < count; ++number)
            threads_.emplace_back([this, number, processor = (first_processor + number) % processors] {
                bind_to(processor);
                work(std::size_t(number));
            });
    }
    producers(const producers&) = delete;
    producers& operator=(const producers&) = delete;
    ~producers() {
        work_ = nullptr;
        begin_.arrive_and_wait();
        for (std::thread& each : threads_) each.join();
    }

    // Calls `work(number)` on each thread. Returns the nanoseconds for each of `units`, from the first that begins to
    // the last that ends.
    double run(std::size_t units, std::function<void(std::size_t)> work) {
        work_ = std::move(work);
        begin_.arrive_and_wait();
        end_.arrive_and_wait();
        double first = times_.front().begin;
        double last = times_.front().end;
        for (const auto& [begin, end] : times_) {
            first = std::min(first, begin);
            last = std::max(last, end);
        }
        return (last - first) / static_cast<double>(units);
    }

private:
    void work(std::size_t number) {
        while (true) {
            begin_.arrive_and_wait();
            if (!work_) return;
            times_[number].begin = now_nano();
            work_(number);
            times_[number].end = now_nano();
            end_.arrive_and_wait();
        }
    }

    std::barrier<> begin_;
    std::barrier<> end_;
    struct times {
        double begin = 0;
        double end = 0;
    };
    std::vector<times> times_;
    std::function<void(std::size_t)> work_;
    std::vector<std::thread> threads_;
};

} // namespace benchmarks
