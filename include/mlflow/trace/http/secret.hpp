// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/base64.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A text that is not to be shown: it does not print, compare or convert, and overwrites its own memory when it goes.
/// Only `reveal()` gives it away.
class secret {
public:
    secret() noexcept = default;
    explicit secret(std::string_view text) : text_(text) {}
    secret(const secret&) = default;
    secret(secret&& other) noexcept { text_.swap(other.text_); }
    secret& operator=(secret other) noexcept {
        text_.swap(other.text_);
        return *this;
    }
    ~secret() {
        volatile char* const bytes = text_.data(); // plain writes to memory that is about to go would be left out
        for (std::size_t i = 0; i < text_.size(); ++i) bytes[i] = 0;
    }

    [[nodiscard]] bool empty() const noexcept { return text_.empty(); }
    [[nodiscard]] std::string_view reveal() const noexcept { return text_; }

private:
    std::string text_;
};

/// The value of an Authorization header for a user with a password, RFC 7617. The name must not hold a colon.
[[nodiscard]] inline secret basic_authorization(std::string_view user, const secret& password) {
    detail::buffer value;
    value.append("Basic ");
    detail::append_base64(value, std::string(user) + ":" + std::string(password.reveal()));
    return secret(detail::whole(value));
}

/// The value of an Authorization header for the bearer of a token, RFC 6750.
[[nodiscard]] inline secret bearer_authorization(const secret& token) {
    return secret("Bearer " + std::string(token.reveal()));
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
