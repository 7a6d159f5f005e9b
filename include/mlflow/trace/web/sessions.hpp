// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/uuid_v7.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/metadata/identity.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// When a session expires, other than by `sessions::end`.
struct session_options {
    /// The time without a request after which a session expires. 30 minutes is the usual value in web analytics.
    /// Shorten it if users soon start another conversation, lengthen it if they return to one after a longer break.
    std::chrono::nanoseconds idle_timeout = std::chrono::minutes(30);
    /// The maximum number of sessions. When there are more, the session that was idle longest ends. Raise it if more
    /// users are active within `idle_timeout`.
    std::size_t max_sessions = 100'000;
};

/// Assigns sessions, for an application whose clients do not send them. Each owner (a user, a device, a cookie) has
/// one session at a time, whose ID is a UUID of version 7. The destructor ends all sessions.
///
/// Platform: clocks and IDs, such as `hosted_platform`; times are measured by its monotonic clock. Thread-safety: all
/// functions may be called from any thread. Errors: `std::bad_alloc`. Not part of `mlflow/trace.hpp`.
template <class Platform>
class sessions {
public:
    /// When sessions expire.
    using options = session_options;

    /// Sessions with default options.
    sessions() : sessions(options{}) {}
    /// Sessions with these options.
    explicit sessions(options chosen) : options_(chosen) {}

    /// Returns the owner's session, and restarts its `idle_timeout`. If the owner has none, a new session begins.
    [[nodiscard]] session current(std::string_view owner) {
        const detail::lock_guard guard(lock_);
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

    /// Ends the owner's session; the owner's next request begins a new one. Returns false if there was none.
    bool end(std::string_view owner) {
        const detail::lock_guard guard(lock_);
        end_idle(Platform::monotonic_nano());
        const auto known = by_owner_.find(owner);
        if (known == by_owner_.end()) return false;
        const auto ended = known->second;
        by_owner_.erase(known);
        by_use_.erase(ended);
        return true;
    }

    /// The number of sessions.
    [[nodiscard]] std::size_t size() {
        const detail::lock_guard guard(lock_);
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
    detail::machine::shared_mutex lock_;
    std::list<entry> by_use_; // the session that was idle longest is first
    std::map<std::string_view, typename std::list<entry>::iterator> by_owner_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
