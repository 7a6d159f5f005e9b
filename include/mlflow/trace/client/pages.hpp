// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/page_stream.hpp>

#include <string>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The pages of a search, each with at most 500 traces. A page is requested when it is read, so that memory does not
/// grow with the number of results. If the client has several `connections`, the next page is requested while the
/// caller uses the current one; the destructor waits for that request, for at most `client::options::timeout`.
///
/// Thread-safety: one thread at a time; with one connection, that of the client.
template <class Transport>
class trace_pages {
public:
    /// Made by `client::search_traces`.
    explicit trace_pages(detail::page_stream<Transport> pages, std::string token = {})
        : pages_(std::move(pages)), token_(std::move(token)) {}

    /// Whether the last page has been read.
    [[nodiscard]] bool done() const noexcept { return pages_.done(); }
    /// Where a later search can continue: `trace_query::page_token`. Empty if done.
    [[nodiscard]] const std::string& page_token() const noexcept { return token_; }

    /// The next page, which may be empty. After an error there are no more pages, and the earlier ones are
    /// incomplete. Errors: a failed request, a malformed response, a page token that repeats.
    [[nodiscard]] result<std::vector<trace_info>> next() {
        auto page = pages_.next();
        if (!page) return failure{page.error()};
        token_ = std::move(page->token);
        return std::move(page->traces);
    }

private:
    detail::page_stream<Transport> pages_;
    std::string token_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
