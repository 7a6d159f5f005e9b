// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/http/check.hpp>
#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/http/secret.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/memory/owner.hpp>
#include <mlflow/trace/memory/running.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The value of the Authorization header: none, a fixed value, or a value that a function returns and that may
/// change.
///
///     .authorization = mt::bearer_authorization(mt::secret(token))
///     .authorization = [] { return mt::bearer_authorization(mt::secret(read_file("/run/token"))); }
///
/// A function returns a `secret` or a `result<secret>`; an exception is an error too. The function is called for the
/// first request. It is called again when the server responds 401 or the transport rejects the request, once for each
/// request, which is then sent a second time. A value that cannot be sent in a header is not kept. Thread-safety:
/// copies share the function's value, and one thread at a time calls the function.
class credentials {
public:
    /// A value of the header, or an error.
    using answer = result<secret>;

    /// No Authorization header.
    credentials() noexcept = default;
    /// A fixed value; none if it is empty.
    credentials(secret fixed) noexcept : fixed_(std::move(fixed)) {}
    /// The value that `fetch` returns.
    template <class Fetch>
        requires std::convertible_to<std::invoke_result_t<Fetch&>, answer>
    credentials(Fetch fetch) : source_(new source_of<Fetch>(std::move(fetch))) {}

    /// Whether no header is sent.
    [[nodiscard]] bool empty() const noexcept { return !source_ && fixed_.empty(); }
    /// Whether `renewed` may return another value.
    [[nodiscard]] bool renewable() const noexcept { return static_cast<bool>(source_); }

    /// The latest value. Calls the function if there is none yet.
    [[nodiscard]] answer current() const { return source_ ? source_->value(nullptr) : fixed_; }
    /// The value after the server has rejected `old`: a newer value that another thread has fetched meanwhile, or the
    /// result of calling the function.
    [[nodiscard]] answer renewed(const secret& old) const { return source_ ? source_->value(&old) : fixed_; }

private:
    class source {
    public:
        source() = default;
        source(const source&) = delete;
        source& operator=(const source&) = delete;
        virtual ~source() = default;

        void retain() noexcept { owners_.fetch_add(1, detail::memory_order_relaxed); }
        void release() noexcept {
            if (owners_.fetch_sub(1, detail::memory_order_acq_rel) == 1) delete this;
        }

        answer value(const secret* refused) {
            if (running::is(this)) return fail("the function requests its own credentials; use another client in it");
            begin_anew_after_fork();
            const detail::lock_guard guard(lock_);
            if (last_.empty() || (refused && refused->reveal() == last_.reveal())) {
                const running here(this);
                answer fetched = detail::guarded_by_reason(
                    [this] { return fetch(); },
                    [](const char* why) -> answer {
                        return fail(why ? why : "the function threw something other than a std::exception");
                    });
                if (!fetched) return fetched;
                if (fetched->empty()) return fail("the function returned an empty value");
                if (!detail::is_field_value(fetched->reveal()))
                    return fail(
                        "the function returned a value with a control character, such as a newline; remove it");
                last_ = std::move(*fetched);
            }
            return last_;
        }

    private:
        using running = detail::running<source>;

        virtual answer fetch() = 0;

        static failure fail(std::string_view why) { return failure{error(error_kind::other, "authorization", why)}; }

        // In the child of a fork, the lock may be held by a thread that does not exist there. The lock and the value,
        // which that thread may have been writing, are then replaced.
        void begin_anew_after_fork() noexcept {
            constexpr std::uint32_t beginning = 0;
            const std::uint32_t here = detail::machine::process();
            for (std::uint32_t known = process_.load(detail::memory_order_acquire); known != here;
                 known = process_.load(detail::memory_order_acquire)) {
                if (known == beginning || !process_.compare_exchange_strong(known, beginning)) continue;
                if (lock_.try_lock()) {
                    lock_.unlock();
                } else {
                    ::new (static_cast<void*>(&lock_)) detail::machine::mutex;
                    ::new (static_cast<void*>(&last_)) secret;
                }
                process_.store(here, detail::memory_order_release);
            }
        }

        detail::atomic<std::size_t> owners_{1};
        detail::atomic<std::uint32_t> process_{detail::machine::process()};
        detail::machine::mutex lock_;
        secret last_;
    };

    template <class Fetch>
    class source_of final : public source {
    public:
        explicit source_of(Fetch&& fetch) : fetch_(std::move(fetch)) {}

    private:
        answer fetch() override { return fetch_(); }
        Fetch fetch_;
    };

    secret fixed_;
    detail::shared_owner<source> source_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
