// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace support {

// Threads on which a test runs one thing after the other: the first is the test's own.
class workers {
public:
    explicit workers(int count) {
        for (int i = 1; i < count; ++i) others_.push_back(std::make_unique<worker>());
    }
    [[nodiscard]] int size() const { return static_cast<int>(others_.size()) + 1; }

    // Returns when it has run.
    void run_on(int thread, const std::function<void()>& work) {
        if (thread == 0) return work();
        others_[static_cast<std::size_t>(thread - 1)]->run(work);
    }

private:
    class worker {
    public:
        ~worker() {
            {
                const std::lock_guard guard(lock_);
                is_over_ = true;
                changed_.notify_all();
            }
            thread_.join();
        }
        void run(const std::function<void()>& work) {
            std::unique_lock guard(lock_);
            work_ = &work;
            changed_.notify_all();
            changed_.wait(guard, [this] { return !work_; });
        }

    private:
        void loop() {
            std::unique_lock guard(lock_);
            while (true) {
                changed_.wait(guard, [this] { return work_ || is_over_; });
                if (is_over_) return;
                (*work_)();
                work_ = nullptr;
                changed_.notify_all();
            }
        }
        std::mutex lock_;
        std::condition_variable changed_;
        const std::function<void()>* work_ = nullptr;
        bool is_over_ = false;
        std::thread thread_{[this] { loop(); }};
    };
    std::vector<std::unique_ptr<worker>> others_;
};

} // namespace support
