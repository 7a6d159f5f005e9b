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

/// How many connections leave enough of the files that this process may open (`ulimit -n`) for all else.
inline std::size_t connections_for_files() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return 512;
    const auto all = std::min<std::size_t>(files.rlim_cur, 8192);
    return std::max<std::size_t>(all > 192 ? all - 96 : all / 2, 1);
}

/// Accepts connections, and hands every request that is whole to a handler, on one of its threads: one that takes
/// long must go elsewhere.
class server {
public:
    struct options {
        std::string address = "127.0.0.1";
        std::uint16_t port = 8080; ///< 0: any that is free
        int threads = 2;
        limits per_client{};
        std::size_t max_connections =
            connections_for_files();                        ///< more, and those that wait longest for their client go
        std::chrono::milliseconds shutdown_timeout{10'000}; ///< for the requests under way when it stops
    };

    /// Listens from now on. Throws boost::system::system_error where it cannot.
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

    /// Serves until `stop`, and then until every request under way is answered or the time for that is over. False in
    /// the latter case.
    bool run() {
        const auto answers_may_come = asio::make_work_guard(io_); // from other threads, when all else is done
        std::vector<std::thread> threads;
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

    /// From any thread.
    void stop() {
        asio::post(strand_, [this] { begin_to_stop(); });
    }
    /// SIGTERM and SIGINT stop the server; the next one ends the process, as it would without this.
    void stop_on_signals() {
        signals_.add(SIGTERM);
        signals_.add(SIGINT);
        signals_.async_wait([this](error_code error, int) {
            if (!error) begin_to_stop();
        });
    }

private:
    // Known until it is destroyed.
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

    // In the place of the one that has waited longest for its client, which may never send anything.
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
        if (held) held->close_when_waiting(); // at once: the files left for all else cover what is still open
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
            if (error) { // such as too many open files: they may become fewer
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
    asio::io_context io_; // destroys connections, which need what stands before it
    asio::strand<asio::io_context::executor_type> strand_{io_.get_executor()};
    tcp::acceptor acceptor_{strand_};
    asio::steady_timer retry_{strand_};
    asio::signal_set signals_{strand_};
};

} // namespace chat_server
