// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/page_stream.hpp>

#include <string>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A search under way: pages of at most 500 traces, each fetched when it is asked for, so that memory does not grow
/// with what is found. Where the client has several `connections`, one of them fetches the next page while the caller
/// has this one; the destructor waits for that request, at most `client::options::timeout`.
/// Thread-safety: one thread at a time; with one connection, that of its client.
template <class Transport>
class trace_pages {
public:
    explicit trace_pages(detail::page_stream<Transport> pages, std::string token = {})
        : pages_(std::move(pages)), token_(std::move(token)) {}

    /// Was the last page fetched?
    [[nodiscard]] bool done() const noexcept { return pages_.done(); }
    /// Where a later search goes on: `trace_query::page_token`. Empty when done.
    [[nodiscard]] const std::string& page_token() const noexcept { return token_; }

    /// The next page, which may be empty. After an error there are no more pages, and those before it are not the
    /// whole: no reply, a reply that is malformed, a page token that comes back.
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
