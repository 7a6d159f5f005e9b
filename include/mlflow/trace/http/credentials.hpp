// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/detail/running.hpp>
#include <mlflow/trace/http/check.hpp>
#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/http/secret.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/memory/owner.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The value of the Authorization header: none, a fixed one, or one that a function gives and that changes.
///
///     .authorization = mt::bearer_authorization(mt::secret(token))
///     .authorization = [] { return mt::bearer_authorization(mt::secret(read_file("/run/token"))); }
///
/// A function returns a `secret`, or a `result<secret>`; what it throws is an error too. It is
/// called at the first request, and again when the server answers 401 or the transport rejects the request, once for
/// each request, which is then sent once more. What no header can hold is not kept, and asked for again.
/// Thread-safety: copies share what the function gave, and it is called by one thread at a time.
class credentials {
public:
    using answer = result<secret>;

    credentials() noexcept = default;
    credentials(secret fixed) noexcept : fixed_(std::move(fixed)) {}
    template <class Fetch>
        requires std::convertible_to<std::invoke_result_t<Fetch&>, answer>
    credentials(Fetch fetch) : source_(new source_of<Fetch>(std::move(fetch))) {}

    /// No header is sent at all.
    [[nodiscard]] bool empty() const noexcept { return !source_ && fixed_.empty(); }
    /// Another request for the value may bring another one.
    [[nodiscard]] bool renewable() const noexcept { return static_cast<bool>(source_); }

    /// The value as it was last given.
    [[nodiscard]] answer current() const { return source_ ? source_->value(nullptr) : fixed_; }
    /// The value after the server has refused `old`: what somebody else has got meanwhile, or a new one.
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
            if (running::is(this)) return fail("the function asks for itself; let it use another client");
            begin_anew_after_fork();
            const detail::lock_guard guard(lock_);
            if (last_.empty() || (refused && refused->reveal() == last_.reveal())) {
                const running here(this);
                answer fetched = detail::guarded_by_reason(
                    [this] { return fetch(); },
                    [](const char* why) -> answer {
                        return fail(why ? why : "the function threw what is not a std::exception");
                    });
                if (!fetched) return fetched;
                if (fetched->empty()) return fail("the function gave an empty value");
                if (!detail::is_field_value(fetched->reveal()))
                    return fail("the function gave a value that holds a control character; remove it, such as the "
                                "end of a line");
                last_ = std::move(*fetched);
            }
            return last_;
        }

    private:
        using running = detail::running<source>;

        virtual answer fetch() = 0;

        static failure fail(std::string_view why) { return failure{error(error_kind::other, "authorization", why)}; }

        // A thread that the child of a fork does not have may have been asking: what it was about to write is left.
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
