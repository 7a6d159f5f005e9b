// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/uuid_v7.hpp>
#include <mlflow/trace/metadata/identity.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// When a session ends, besides by `sessions::end`.
struct session_options {
    /// After this long without a request. 30 minutes is what web analytics count by.
    std::chrono::nanoseconds idle_timeout = std::chrono::minutes(30);
    /// When there are more, the one that was idle longest ends.
    std::size_t max_sessions = 100'000;
};

/// Where sessions begin and end, for an application whose clients do not say it: each owner (a user, a device, a
/// cookie) is in one session at a time, whose ID is a UUID of version 7. The destructor ends them all.
///
/// Platform: clocks and IDs, such as `hosted_platform`. Time is the monotonic clock's. Thread-safety: all functions,
/// from any thread. Errors: `std::bad_alloc`. Not part of `mlflow/trace.hpp`.
template <class Platform>
class sessions {
public:
    using options = session_options;

    sessions() : sessions(options{}) {}
    explicit sessions(options chosen) : options_(chosen) {}

    /// The session that the owner is in, from now on for another `idle_timeout`; a new one where there is none.
    [[nodiscard]] session current(std::string_view owner) {
        const std::lock_guard guard(lock_);
        const std::uint64_t now = Platform::monotonic_nano();
        end_idle(now);
        if (const auto known = by_owner_.find(owner); known != by_owner_.end()) {
            known->second->used = now;
            by_use_.splice(by_use_.end(), by_use_, known->second);
            return known->second->id;
        }
        if (by_use_.size() >= options_.max_sessions && !by_use_.empty()) end_oldest();
        by_use_.push_back({std::string(owner), session::parse(new_uuid_v7<Platform>().view()).value(), now});
        by_owner_.emplace(by_use_.back().owner, std::prev(by_use_.end()));
        return by_use_.back().id;
    }

    /// Ends the owner's session: the next request begins a new one. False when there was none.
    bool end(std::string_view owner) {
        const std::lock_guard guard(lock_);
        end_idle(Platform::monotonic_nano());
        const auto known = by_owner_.find(owner);
        if (known == by_owner_.end()) return false;
        const auto ended = known->second;
        by_owner_.erase(known);
        by_use_.erase(ended);
        return true;
    }

    /// How many sessions are open.
    [[nodiscard]] std::size_t size() {
        const std::lock_guard guard(lock_);
        end_idle(Platform::monotonic_nano());
        return by_use_.size();
    }

private:
    struct entry {
        std::string owner;
        session id;
        std::uint64_t used;
    };

    void end_oldest() {
        by_owner_.erase(by_use_.front().owner);
        by_use_.pop_front();
    }
    void end_idle(std::uint64_t now) {
        const auto limit = static_cast<std::uint64_t>(options_.idle_timeout.count());
        while (!by_use_.empty() && now - by_use_.front().used >= limit) end_oldest();
    }

    const options options_;
    std::mutex lock_;
    std::list<entry> by_use_; // the one that was idle longest is first
    std::map<std::string_view, typename std::list<entry>::iterator> by_owner_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
