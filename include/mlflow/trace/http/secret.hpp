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

/// A text that must not be shown, such as a password. It cannot be printed, compared or converted, and is overwritten
/// in memory when it is destroyed. `reveal()` is the only access. Thread-safety: as `std::string`.
class secret {
public:
    /// An empty text.
    secret() noexcept = default;
    /// Copies the text.
    explicit secret(std::string_view text) : text_(text) {}
    /// Copies the text.
    secret(const secret&) = default;
    /// Takes over the text of `other`.
    secret(secret&& other) noexcept {
        text_.swap(other.text_);
        other.overwrite(); // a short text was copied from within the object
    }
    /// Copies the text.
    secret& operator=(const secret& other) { return *this = secret(other); }
    /// Takes over the text of `other`.
    secret& operator=(secret&& other) noexcept {
        secret taken(std::move(other));
        overwrite();
        text_.swap(taken.text_);
        return *this;
    }
    /// Overwrites the text.
    ~secret() { overwrite(); }

    /// Whether the text is empty.
    [[nodiscard]] bool empty() const noexcept { return text_.empty(); }
    /// The text, valid as long as this object.
    [[nodiscard]] std::string_view reveal() const noexcept { return text_; }

private:
    // With what an earlier text has left behind it.
    void overwrite() noexcept {
        text_.resize(text_.capacity());
        volatile char* const bytes = text_.data(); // a compiler may omit plain writes before a free
        for (std::size_t i = 0; i < text_.size(); ++i) bytes[i] = 0;
        text_.clear();
    }

    std::string text_;
};

/// The value of an Authorization header with user and password (RFC 7617). The name must not contain a colon. Throws
/// `std::bad_alloc`.
[[nodiscard]] inline secret basic_authorization(std::string_view user, const secret& password) {
    detail::buffer value;
    value.append("Basic ");
    detail::append_base64(value, std::string(user) + ":" + std::string(password.reveal()));
    return secret(detail::whole(value));
}

/// The value of an Authorization header with a bearer token (RFC 6750). Throws `std::bad_alloc`.
[[nodiscard]] inline secret bearer_authorization(const secret& token) {
    return secret("Bearer " + std::string(token.reveal()));
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
