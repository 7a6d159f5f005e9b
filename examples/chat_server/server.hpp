// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "connection.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

namespace chat_server {

/// The number of connections that leave enough file descriptors (`ulimit -n`) for everything else.
inline std::size_t connections_for_files() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return 512;
    const auto all = std::min<std::size_t>(files.rlim_cur, 8192);
    return std::max<std::size_t>(all > 192 ? all - 96 : all / 2, 1);
}

/// Accepts connections, and passes every complete request to a handler on one of its threads. A handler must do long
/// work on another thread.
class server {
public:
    struct options {
        std::string address = "127.0.0.1";
        std::uint16_t port = 8080; ///< 0: any free port
        int threads = 2;
        limits per_client{};
        std::size_t max_connections =
            /// Beyond this limit, the connection that has waited longest for its client is closed.
            connections_for_files();
        std::chrono::milliseconds shutdown_timeout{10'000}; ///< for requests in progress when the server stops
    };

    /// Starts to listen. Throws boost::system::system_error on failure.
    server(options chosen, handler handle) : options_(std::move(chosen)), handle_(std::move(handle)) {
        const tcp::endpoint at(asio::ip::make_address(options_.address), options_.port);
        acceptor_.open(at.protocol());
        acceptor_.set_option(tcp::acceptor::reuse_address(true));
        acceptor_.bind(at);
        acceptor_.listen();
        accept();
    }
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

    /// Serves until `stop`, then until every request in progress is answered or `shutdown_timeout` is over. Returns
    /// false in the latter case.
    bool run() {
        const auto answers_may_come = asio::make_work_guard(io_); // from other threads, after all other work is done
        std::vector<std::thread> threads;
        threads.reserve(static_cast<std::size_t>(options_.threads));
        for (int i = 0; i < options_.threads; ++i) threads.emplace_back([this] { io_.run(); });
        bool all_answered = false;
        {
            std::unique_lock guard(lock_);
            changed_.wait(guard, [this] { return is_stopping_; });
            all_answered = changed_.wait_for(guard, options_.shutdown_timeout, [this] { return open_.empty(); });
        }
        io_.stop();
        for (auto& thread : threads) thread.join();
        return all_answered;
    }

    /// May be called from any thread.
    void stop() {
        asio::post(strand_, [this] { begin_to_stop(); });
    }
    /// SIGTERM and SIGINT stop the server; the next one ends the process, as without this function.
    void stop_on_signals() {
        signals_.add(SIGTERM);
        signals_.add(SIGINT);
        signals_.async_wait([this](error_code error, int) {
            if (!error) begin_to_stop();
        });
    }

private:
    // Registered until it is destroyed.
    struct tracked : connection {
        tracked(server& owner, tcp::socket socket)
            : connection(std::move(socket), owner.options_.per_client, owner.handle_), owner_(owner) {
            const std::lock_guard guard(owner_.lock_);
            owner_.open_.insert(this);
        }
        ~tracked() {
            const std::lock_guard guard(owner_.lock_);
            owner_.open_.erase(this);
            owner_.changed_.notify_all();
        }
        server& owner_;
    };

    // Closes the connection that has waited longest for its client, which may never send anything.
    bool has_room() {
        std::shared_ptr<connection> held;
        {
            const std::lock_guard guard(lock_);
            connection* longest = nullptr;
            std::size_t staying = 0;
            for (connection* each : open_) {
                if (each->is_given_up()) continue;
                ++staying;
                const auto since = each->waits_since();
                if (since != 0 && (!longest || since < longest->waits_since())) longest = each;
            }
            if (staying < options_.max_connections) return true;
            if (longest) held = longest->weak_from_this().lock();
        }
        // Immediately: the reserve of descriptors covers connections that are still closing.
        if (held) held->close_when_waiting();
        return held != nullptr;
    }

    void accept_later() {
        retry_.expires_after(std::chrono::milliseconds(10));
        retry_.async_wait([this](error_code failed) {
            if (!failed && acceptor_.is_open()) accept();
        });
    }

    void accept() {
        if (!has_room()) return accept_later();
        acceptor_.async_accept(asio::make_strand(io_), [this](error_code error, tcp::socket socket) {
            if (!acceptor_.is_open()) return;
            if (error) { // for example too many open files, which may be temporary
                return accept_later();
            }
            error_code ignored;
            socket.set_option(tcp::no_delay(true), ignored);
            std::make_shared<tracked>(*this, std::move(socket))->start();
            accept();
        });
    }

    void begin_to_stop() {
        error_code ignored;
        acceptor_.close(ignored);
        retry_.cancel();
        signals_.clear(ignored);
        std::vector<std::shared_ptr<connection>> alive;
        {
            const std::lock_guard guard(lock_);
            is_stopping_ = true;
            for (connection* each : open_)
                if (auto held = each->weak_from_this().lock()) alive.push_back(std::move(held));
        }
        for (const auto& each : alive) each->close_when_idle();
        changed_.notify_all();
    }

    const options options_;
    const handler handle_;
    std::mutex lock_;
    std::condition_variable changed_;
    std::unordered_set<connection*> open_;
    bool is_stopping_ = false;
    asio::io_context io_; // destroys connections, which need the members above
    asio::strand<asio::io_context::executor_type> strand_{io_.get_executor()};
    tcp::acceptor acceptor_{strand_};
    asio::steady_timer retry_{strand_};
    asio::signal_set signals_{strand_};
};

} // namespace chat_server
