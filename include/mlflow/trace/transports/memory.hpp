// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/check.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

class memory_server; ///< see below

/// Options of `memory_transport`.
struct memory_transport_options {
    /// Handles the requests; null: a server of its own, which responds 200 to every request.
    std::shared_ptr<memory_server> server;
};

/// The server side of `memory_transport`: stores every request and responds as configured.
///
/// A request gets the oldest queued response. If the queue is empty, the callable set by `answer_with()` produces the
/// response; without one, it is status 200 without a body. Keep a `shared_ptr` to inspect what an exporter that owns
/// the transport has sent:
///
///     auto server = std::make_shared<mt::memory_server>();
///     mt::mlflow_exporter<mt::memory_transport> exporter({.transport = {server}});
///     server->queue_reply(mt::http_response{503, {}, {}});
///
/// Thread-safety: all functions may be called from any thread. The callable runs on the sending thread, without the
/// lock; if several transports share the server, it may run on several threads at once.
class memory_server {
public:
    /// A response or an error.
    using reply = result<http_response>;

    /// A copy of a request. `target` begins with the path of the endpoint, as a server would receive it.
    struct request {
        /// The method.
        http_method method = http_method::get;
        /// The path and query.
        std::string target;
        /// The headers, in the order in which they were sent.
        std::vector<std::pair<std::string, std::string>> headers;
        /// The body.
        std::string body;
        /// The time that the sender waits for the response.
        std::chrono::milliseconds timeout{};

        /// The value of the first header with this name (case-insensitive), or an empty text.
        [[nodiscard]] std::string_view header(std::string_view name) const noexcept {
            return detail::find_header(headers, name);
        }
    };

    /// Queues a response or an error for one request.
    void queue_reply(reply next) {
        const std::lock_guard lock(mutex_);
        queue_.push_back(std::move(next));
    }

    /// Sets a callable for requests without a queued response: `answer(const memory_server::request&)` returns an
    /// `http_response`, a `failure` or a `reply`. `send()` propagates its exceptions.
    template <class Answer>
    void answer_with(Answer answer) {
        auto made = std::make_shared<answer_of<Answer>>(std::move(answer));
        const std::lock_guard lock(mutex_);
        answer_ = std::move(made);
    }

    /// A copy of all requests so far, in order of arrival.
    [[nodiscard]] std::vector<request> requests() const {
        const std::lock_guard lock(mutex_);
        return requests_;
    }

    /// The number of requests so far.
    [[nodiscard]] std::size_t request_count() const {
        const std::lock_guard lock(mutex_);
        return requests_.size();
    }

    /// Waits until `count` requests have arrived. Returns false after `timeout`.
    [[nodiscard]] bool wait_for_requests(std::size_t count, std::chrono::milliseconds timeout) const {
        std::unique_lock lock(mutex_);
        return arrived_.wait_for(lock, timeout, [&] { return requests_.size() >= count; });
    }

    /// Handles one request. `memory_transport::send` calls it.
    reply handle(const request& incoming) {
        std::shared_ptr<any_answer> answer;
        {
            const std::lock_guard lock(mutex_);
            requests_.push_back(incoming);
            arrived_.notify_all();
            if (!queue_.empty()) {
                reply next = std::move(queue_.front());
                queue_.erase(queue_.begin());
                return next;
            }
            answer = answer_;
        }
        if (!answer) return http_response{200, {}, {}};
        return answer->call(incoming);
    }

private:
    struct any_answer {
        any_answer() = default;
        any_answer(const any_answer&) = delete;
        any_answer& operator=(const any_answer&) = delete;
        virtual ~any_answer() = default;
        virtual reply call(const request& incoming) = 0;
    };
    template <class Answer>
    struct answer_of final : any_answer {
        explicit answer_of(Answer&& answer) : answer_(std::move(answer)) {}
        reply call(const request& incoming) override { return answer_(incoming); }
        Answer answer_;
    };

    mutable std::mutex mutex_;
    mutable std::condition_variable arrived_;
    std::vector<request> requests_;
    std::vector<reply> queue_;
    std::shared_ptr<any_answer> answer_;
};

/// A transport without a network, for tests: passes each request to a `memory_server` in the same process. It rejects
/// the malformed requests that the other transports reject; the server does not get these.
///
/// Thread-safety: `send()` is called by one thread at a time.
class memory_transport {
public:
    /// See `memory_transport_options`.
    using options = memory_transport_options;

    /// Stores the endpoint and the server.
    explicit memory_transport(endpoint server, options chosen = {})
        : endpoint_(std::move(server)),
          server_(chosen.server ? std::move(chosen.server) : std::make_shared<memory_server>()) {}

    /// Passes the request to the server and returns its response.
    result<http_response> send(const http_request& request) {
        if (auto refused = check_request(endpoint_, request)) return failure{std::move(*refused)};
        memory_server::request copy{request.method,
                                    endpoint_.path + std::string(request.target),
                                    {},
                                    std::string(request.body),
                                    request.timeout};
        for (const auto& [name, value] : request.headers) copy.headers.emplace_back(name, value);
        return server_->handle(copy);
    }

    /// The server of the options, or the transport's own.
    [[nodiscard]] const std::shared_ptr<memory_server>& server() const noexcept { return server_; }

private:
    endpoint endpoint_;
    std::shared_ptr<memory_server> server_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
