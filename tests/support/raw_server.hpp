// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace raw {

enum class family : std::uint8_t { v4, v6 };

// The server's end of one connection. Every byte, pause and reset is what the test says.
class peer {
public:
    explicit peer(int socket) : socket_(socket) {}
    peer(const peer&) = delete;
    peer& operator=(const peer&) = delete;
    ~peer() { close(); }

    // One whole request, head and body, or an empty text when the client went away.
    std::string read_request() {
        std::size_t head = std::string::npos;
        while ((head = pending_.find("\r\n\r\n")) == std::string::npos)
            if (!read_more()) return {};
        std::size_t body = 0;
        if (const auto at = pending_.find("Content-Length: "); at < head)
            body = static_cast<std::size_t>(std::strtoull(pending_.c_str() + at + 16, nullptr, 10));
        const auto size = head + 4 + body;
        while (pending_.size() < size)
            if (!read_more()) return {};
        auto request = pending_.substr(0, size);
        pending_.erase(0, size);
        return request;
    }

    // What comes next, or an empty text when the client went away.
    std::string read_some() {
        if (pending_.empty()) read_more();
        return std::exchange(pending_, {});
    }

    // The head of a request, without reading more of the body than came along with it.
    void read_head() {
        while (pending_.find("\r\n\r\n") == std::string::npos && read_more()) {
        }
    }

    // False when the client went away.
    bool write(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }

    bool drip(std::string_view bytes, std::chrono::milliseconds interval) {
        for (const char byte : bytes) {
            if (!write({&byte, 1})) return false;
            std::this_thread::sleep_for(interval);
        }
        return true;
    }

    // Blocks until the client closes, or the server is destroyed.
    void wait_for_close() {
        while (read_more()) pending_.clear();
    }

    // The same without reading a byte, so that what the client writes piles up.
    void wait_without_reading() {
        pollfd ended{socket_, POLLRDHUP, 0};
        while (::poll(&ended, 1, -1) < 0) {
        }
    }

    void shut_down_write() { ::shutdown(socket_, SHUT_WR); }

    void close() {
        const std::lock_guard lock(mutex_);
        if (const int socket = std::exchange(socket_, -1); socket >= 0) ::close(socket);
    }

    // Ends the connection by RST instead of FIN.
    void reset() {
        const linger now{1, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close();
    }

    // From another thread: makes every blocking call return.
    void interrupt() {
        const std::lock_guard lock(mutex_);
        if (socket_ >= 0) ::shutdown(socket_, SHUT_RDWR);
    }

private:
    bool read_more() {
        char bytes[65536];
        const auto count = ::recv(socket_, bytes, sizeof bytes, 0);
        if (count <= 0) return false;
        pending_.append(bytes, static_cast<std::size_t>(count));
        return true;
    }

    std::mutex mutex_;
    int socket_;
    std::string pending_;
};

// A listening socket on the loopback, on a port of its own unless one is given.
class listener {
public:
    explicit listener(family on = family::v4, std::uint16_t port = 0, int backlog = 64)
        : family_(on), socket_(::socket(on == family::v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const int enable = 1;
        ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &enable, sizeof enable);
        bool good = false;
        if (on == family::v4) {
            sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_port = htons(port);
            address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            good = bind_and_name(address, backlog);
            port_ = ntohs(address.sin_port);
        } else {
            sockaddr_in6 address{};
            address.sin6_family = AF_INET6;
            address.sin6_port = htons(port);
            address.sin6_addr = in6addr_loopback;
            good = bind_and_name(address, backlog);
            port_ = ntohs(address.sin6_port);
        }
        if (good) return;
        const int cause = errno;
        if (socket_ >= 0) ::close(socket_);
        throw std::system_error(cause, std::system_category(), "listen");
    }
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;
    ~listener() { ::close(socket_); }

    std::uint16_t port() const { return port_; }
    int socket() const { return socket_; }
    std::string url() const {
        return (family_ == family::v4 ? "http://127.0.0.1:" : "http://[::1]:") + std::to_string(port_);
    }

private:
    template <class Address>
    bool bind_and_name(Address& address, int backlog) const {
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        socklen_t size = sizeof address;
        if (family_ == family::v6) {
            const int only = 1;
            ::setsockopt(socket_, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
        }
        return ::bind(socket_, generic, size) == 0 && ::listen(socket_, backlog) == 0 &&
               ::getsockname(socket_, generic, &size) == 0;
    }

    family family_;
    int socket_;
    std::uint16_t port_ = 0;
};

// A server that runs `script(peer, n)` for its n-th connection, counted from 0, each on a thread of its own. The
// connection is closed when the script returns; the destructor interrupts those that still run, and joins them.
class server {
public:
    using script = std::function<void(peer&, int)>;

    explicit server(script run, family on = family::v4, std::uint16_t port = 0)
        : listener_(on, port), script_(std::move(run)), acceptor_([this] { accept_all(); }) {}
    server(const server&) = delete;
    server& operator=(const server&) = delete;
    ~server() {
        ::shutdown(listener_.socket(), SHUT_RDWR);
        acceptor_.join();
        for (auto& each : sessions_) each.connection->interrupt();
        for (auto& each : sessions_) each.thread.join();
    }

    std::uint16_t port() const { return listener_.port(); }
    std::string url() const { return listener_.url(); }
    int connections() const { return connections_; }

private:
    struct session {
        std::unique_ptr<peer> connection;
        std::thread thread;
    };

    void accept_all() {
        for (;;) {
            const int socket = ::accept4(listener_.socket(), nullptr, nullptr, SOCK_CLOEXEC);
            if (socket < 0) return;
            auto& added = sessions_.emplace_back(session{std::make_unique<peer>(socket), {}});
            added.thread = std::thread([this, &connection = *added.connection, number = connections_++] {
                script_(connection, number);
                connection.close();
            });
        }
    }

    listener listener_;
    script script_;
    std::atomic<int> connections_{0};
    std::vector<session> sessions_;
    std::thread acceptor_;
};

// A whole reply with a Content-Length.
inline std::string reply(int status, std::string_view body, std::string_view headers = {}) {
    return "HTTP/1.1 " + std::to_string(status) + " x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           std::string(headers) + "\r\n" + std::string(body);
}

} // namespace raw
