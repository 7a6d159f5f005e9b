// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace chat_server {

namespace asio = boost::asio;

/// Runs work that waits for MLflow, on separate threads: if MLflow does not respond, nothing else is delayed. The
/// limit per user keeps one user from using all threads. Thread-safety: all functions may be called from any thread.
class raters {
public:
    struct options {
        std::size_t threads = 2;
        std::size_t most = 256;      ///< in progress, for all users
        std::size_t most_of_one = 4; ///< for one user
    };

    explicit raters(options chosen) : options_(chosen), workers_(chosen.threads) {}

    /// Runs `work` later. Returns false if too much is in progress.
    template <class Work>
    bool post(const std::string& user, Work work) {
        {
            const std::lock_guard guard(lock_);
            if (all_ >= options_.most || of_[user] >= options_.most_of_one) return false;
            ++of_[user];
            ++all_;
        }
        asio::post(workers_, [this, user, work = std::move(work)]() mutable {
            work();
            const std::lock_guard guard(lock_);
            if (--of_[user] == 0) of_.erase(user);
            --all_;
        });
        return true;
    }
    void join() { workers_.join(); }

private:
    options options_;
    std::mutex lock_;
    std::map<std::string, std::size_t> of_;
    std::size_t all_ = 0;
    asio::thread_pool workers_;
};

} // namespace chat_server
