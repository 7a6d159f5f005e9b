// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/platform/without_signals.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/error.hpp>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail::over_beast {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::beast::error_code;
using time_point = std::chrono::steady_clock::time_point;

// Looks up the addresses of a server.
//
// getaddrinfo can neither be cancelled nor given a deadline, so it runs on a detached thread that owns everything it
// uses. A caller that stops waiting leaves the thread behind, and a later call waits for the same thread: a hanging
// resolver costs one thread in all.
class address_lookup {
public:
    error_code find(const endpoint& server, time_point until, std::vector<tcp::endpoint>& found) {
        error_code not_numeric;
        const auto numeric = asio::ip::make_address(server.host, not_numeric);
        if (!not_numeric) {
            found = {{numeric, server.port}};
            return {};
        }
        // RFC 6761, 6.3: localhost is the loopback address.
        if (server.host == "localhost") {
            found = {{asio::ip::address_v6::loopback(), server.port},
                     {asio::ip::address_v4::loopback(), server.port}};
            return {};
        }
        if (!running_) running_ = start(server);
        std::unique_lock lock(running_->mutex);
        if (!running_->finished.wait_until(lock, until, [&] { return running_->is_finished; }))
            return boost::beast::error::timeout;
        lock.unlock();
        const auto finished = std::exchange(running_, nullptr);
        found = std::move(finished->found);
        return finished->error;
    }

private:
    struct lookup {
        std::mutex mutex;
        std::condition_variable finished;
        bool is_finished = false;
        error_code error;
        std::vector<tcp::endpoint> found;
    };

    static std::shared_ptr<lookup> start(const endpoint& server) {
        auto shared = std::make_shared<lookup>();
        const without_signals blocked;
        std::thread([shared, host = server.host, service = std::to_string(server.port)]() noexcept {
            error_code error;
            std::vector<tcp::endpoint> found;
            try {
                asio::io_context context;
                tcp::resolver resolver(context);
                for (const auto& entry : resolver.resolve(host, service, tcp::resolver::numeric_service, error))
                    found.push_back(entry.endpoint());
            } catch (...) {
                error = make_error_code(boost::system::errc::not_enough_memory);
            }
            const std::lock_guard lock(shared->mutex);
            shared->error = error;
            shared->found = std::move(found);
            shared->is_finished = true;
            shared->finished.notify_one();
        }).detach();
        return shared;
    }

    std::shared_ptr<lookup> running_;
};

} // namespace detail::over_beast
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
