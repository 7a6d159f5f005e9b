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

class memory_server;

/// Options of `memory_transport`.
struct memory_transport_options {
    std::shared_ptr<memory_server> server; ///< who answers, and remembers; without one every request gets 200
};

/// The server side of `memory_transport`: remembers every request, and answers as it was told to.
///
/// A request takes the oldest reply of the queue; when that is empty, the callable given to `answer_with()` decides;
/// without one it gets status 200 and no body. Keep a `shared_ptr` to it, to look at what an exporter that owns the
/// transport has sent:
///
///     auto server = std::make_shared<mt::memory_server>();
///     mt::mlflow_exporter<mt::memory_transport> exporter({.transport = {server}});
///     server->queue_reply({503});
///
/// Thread-safety: every function may be called from any thread. The callable runs outside the lock, on the thread
/// that sends; when several transports share the server it may run on several threads at once.
class memory_server {
public:
    using reply = result<http_response>;

    /// A request with its own text; `target` is what a server would see, with the path of the endpoint in front.
    struct request {
        http_method method = http_method::get;
        std::string target;
        std::vector<std::pair<std::string, std::string>> headers;
        std::string body;
        std::chrono::milliseconds timeout{};

        /// The value of the first header of that name, compared without case, or an empty text.
        [[nodiscard]] std::string_view header(std::string_view name) const noexcept {
            return detail::find_header(headers, name);
        }
    };

    /// Adds a reply, or an error, for one request to come.
    void queue_reply(reply next) {
        const std::lock_guard lock(mutex_);
        queue_.push_back(std::move(next));
    }

    /// Answers by `answer(const memory_server::request&)`, which returns an `http_response`, a
    /// `failure` or a `reply`. What it throws leaves `send()`.
    template <class Answer>
    void answer_with(Answer answer) {
        auto made = std::make_shared<answer_of<Answer>>(std::move(answer));
        const std::lock_guard lock(mutex_);
        answer_ = std::move(made);
    }

    /// A copy of all requests so far, in the order in which they came.
    [[nodiscard]] std::vector<request> requests() const {
        const std::lock_guard lock(mutex_);
        return requests_;
    }

    [[nodiscard]] std::size_t request_count() const {
        const std::lock_guard lock(mutex_);
        return requests_.size();
    }

    /// Waits until `count` requests have come. False when `timeout` ran out before.
    [[nodiscard]] bool wait_for_requests(std::size_t count, std::chrono::milliseconds timeout) const {
        std::unique_lock lock(mutex_);
        return arrived_.wait_for(lock, timeout, [&] { return requests_.size() >= count; });
    }

    /// Answers one request. This is what `memory_transport::send` calls.
    reply handle(request incoming) {
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

/// A transport without a network, for tests: hands every request to a `memory_server` in the same process. It refuses
/// the same malformed requests as the transports that have a network, and those are not remembered.
///
/// Thread-safety: as every transport, `send()` by one thread at a time.
class memory_transport {
public:
    using options = memory_transport_options;

    explicit memory_transport(endpoint server, options chosen = {})
        : endpoint_(std::move(server)),
          server_(chosen.server ? std::move(chosen.server) : std::make_shared<memory_server>()) {}

    result<http_response> send(const http_request& request) {
        if (auto refused = check_request(endpoint_, request)) return failure{std::move(*refused)};
        memory_server::request copy{request.method,
                                    endpoint_.path + std::string(request.target),
                                    {},
                                    std::string(request.body),
                                    request.timeout};
        for (const auto& [name, value] : request.headers) copy.headers.emplace_back(name, value);
        return server_->handle(std::move(copy));
    }

    /// Who answers: the one of the options, or an own one.
    [[nodiscard]] const std::shared_ptr<memory_server>& server() const noexcept { return server_; }

private:
    endpoint endpoint_;
    std::shared_ptr<memory_server> server_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
