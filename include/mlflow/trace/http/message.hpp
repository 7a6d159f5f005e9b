// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/http/endpoint.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// Header names are compared without case (RFC 9110, 5.1).
constexpr bool same_name(std::string_view a, std::string_view b) noexcept {
    constexpr auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

// The value of the first header with this name, or an empty text.
inline std::string_view find_header(const std::vector<std::pair<std::string, std::string>>& headers,
                                    std::string_view name) noexcept {
    for (const auto& [key, value] : headers)
        if (same_name(key, name)) return value;
    return {};
}

} // namespace detail

/// One header of a request. Every transport rejects a header that is not valid in HTTP (`check_request`).
struct http_header {
    std::string_view name;  ///< the name
    std::string_view value; ///< the value
};

/// The method of a request.
enum class http_method : std::uint8_t { get, post, put, patch, delete_ };

/// The name of the method in HTTP.
[[nodiscard]] constexpr std::string_view to_string(http_method method) noexcept {
    switch (method) {
    case http_method::get: return "GET";
    case http_method::post: return "POST";
    case http_method::put: return "PUT";
    case http_method::patch: return "PATCH";
    case http_method::delete_: return "DELETE";
    }
    return "GET";
}

/// One request. All members are views, valid during the call of `transport::send`.
struct http_request {
    http_method method = http_method::get;     ///< the method
    std::string_view target = "/";             ///< origin form: path and query, without scheme and host
    std::span<const http_header> headers = {}; ///< headers in addition to the transport's own
    std::string_view body = {};                ///< the body
    std::chrono::milliseconds timeout{30'000}; ///< for the whole exchange: connect, send and receive
};

/// One response. Header names are kept as received; `header()` looks them up.
struct http_response {
    int status = 0;                                             ///< the status code
    std::vector<std::pair<std::string, std::string>> headers{}; ///< names and values
    std::string body{};                                         ///< the body, without chunks

    /// The value of the first header with this name, compared without case, or an empty text.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept {
        return detail::find_header(headers, name);
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
