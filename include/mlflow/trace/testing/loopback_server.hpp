// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <arpa/inet.h>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// A server on 127.0.0.1 that sends the same bytes, valid or not, in response to each request, and keeps the requests.
class loopback_server {
public:
    enum class afterwards : std::uint8_t { keep_alive, close, say_nothing, read_nothing, drip };

    explicit loopback_server(std::string reply, afterwards then = afterwards::keep_alive)
        : reply_(std::move(reply)), then_(then), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        is_listening_ = ::bind(listener_, generic, size) == 0 && ::listen(listener_, 16) == 0 &&
                        ::getsockname(listener_, generic, &size) == 0;
        port_ = ntohs(address.sin_port);
        if (is_listening_) acceptor_ = std::thread([this] { accept_all(); });
    }
    loopback_server(const loopback_server&) = delete;
    loopback_server& operator=(const loopback_server&) = delete;
    ~loopback_server() { stop(); }

    [[nodiscard]] bool is_listening() const noexcept { return is_listening_; }
    [[nodiscard]] std::string url(std::string_view path) const {
        return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
    }
    [[nodiscard]] std::vector<std::string> requests() {
        const std::lock_guard guard(lock_);
        return requests_;
    }

    // Afterwards, connections to the URL are refused.
    void stop() {
        ::shutdown(listener_, SHUT_RDWR);
        if (acceptor_.joinable()) acceptor_.join();
        {
            const std::lock_guard guard(lock_);
            for (const int open : sockets_) ::shutdown(open, SHUT_RDWR);
        }
        for (std::thread& each : sessions_) each.join();
        sessions_.clear();
        for (const int socket : std::exchange(sockets_, {})) ::close(socket);
        if (const int socket = std::exchange(listener_, -1); socket >= 0) ::close(socket);
    }

private:
    void accept_all() {
        for (;;) {
            const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (socket < 0) return;
            const std::lock_guard guard(lock_);
            sockets_.push_back(socket);
            sessions_.emplace_back([this, socket] { answer(socket); });
        }
    }

    void answer(int socket) {
        std::string pending;
        if (then_ == afterwards::read_nothing) return stay_silent(socket);
        while (take_request(socket, pending)) {
            if (then_ == afterwards::say_nothing) return stay_silent(socket);
            if (then_ == afterwards::drip) return drip(socket);
            if (::send(socket, reply_.data(), reply_.size(), MSG_NOSIGNAL) < 0) break;
            if (then_ == afterwards::close) break;
        }
        ::shutdown(socket, SHUT_RDWR);
    }

    // Until `stop`, or until a client with a deadline has left. A client without one must not wait longer.
    static void stay_silent(int socket) {
        constexpr int milliseconds = 8'000;
        pollfd waited{socket, 0, 0};
        ::poll(&waited, 1, milliseconds);
        ::shutdown(socket, SHUT_RDWR);
    }

    // Sends a byte every 5 ms.
    void drip(int socket) const {
        for (const char byte : reply_) {
            if (::send(socket, &byte, 1, MSG_NOSIGNAL) < 0) break;
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        ::shutdown(socket, SHUT_RDWR);
    }

    bool take_request(int socket, std::string& pending) {
        char bytes[65536];
        for (;;) {
            if (const auto head = pending.find("\r\n\r\n"); head != std::string::npos) {
                const std::size_t size = head + 4 + body_size(std::string_view(pending).substr(0, head));
                if (pending.size() >= size) {
                    const std::lock_guard guard(lock_);
                    requests_.push_back(pending.substr(0, size));
                    pending.erase(0, size);
                    return true;
                }
            }
            const auto count = ::recv(socket, bytes, sizeof bytes, 0);
            if (count <= 0) return false;
            pending.append(bytes, static_cast<std::size_t>(count));
        }
    }

    static std::size_t body_size(std::string_view head) {
        std::string lower(head);
        for (char& c : lower)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
        const auto at = lower.find("\r\ncontent-length:");
        return at == std::string::npos ? 0 : std::strtoull(lower.c_str() + at + 17, nullptr, 10);
    }

    std::string reply_;
    afterwards then_;
    int listener_;
    bool is_listening_ = false;
    std::uint16_t port_ = 0;
    std::mutex lock_;
    std::vector<std::string> requests_;
    std::vector<int> sockets_;
    std::vector<std::thread> sessions_;
    std::thread acceptor_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
