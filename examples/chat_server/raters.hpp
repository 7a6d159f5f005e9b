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

/// What waits for MLflow, on threads of its own: when MLflow does not answer, nothing else waits. So that one user
/// does not take all of it, each may have little under way. Thread-safety: all functions, from any thread.
class raters {
public:
    struct options {
        std::size_t threads = 2;
        std::size_t most = 256;      ///< under way, of all users
        std::size_t most_of_one = 4; ///< of one user
    };

    explicit raters(options chosen) : options_(chosen), workers_(chosen.threads) {}

    /// Runs `work` later; false when there is too much under way already.
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
