// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/device/frame.hpp>
#include <mlflow/trace/platform/files.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <memory>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <system_error>
#include <termios.h>
#include <unistd.h>
#include <utility>
#include <vector>

// Serial ports, pipes and TCP connections, each with its own decoder.
namespace device_gateway {

namespace mt = mlflow::trace;

[[noreturn]] inline void fail(const std::string& what) {
    throw std::runtime_error(what + ": " + std::strerror(errno));
}

/// The port, from 0 to 65535, at the end of `address`.
inline std::uint16_t port_in(std::string_view text, const std::string& address) {
    std::uint16_t port = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (code != std::errc() || end != text.data() + text.size())
        throw std::runtime_error(address + ": not a port from 0 to 65535 after the colon");
    return port;
}

struct link {
    mt::detail::owned_file file;
    std::uint64_t number = 0; // for `links`; never used again, unlike a file number
    bool is_answered = true;
    std::string path{}; // of a serial port
    speed_t baud = B0;
    bool is_connection = false;
    std::chrono::steady_clock::time_point heard = std::chrono::steady_clock::now();
    std::unique_ptr<mt::frame_decoder<>> decoder = std::make_unique<mt::frame_decoder<>>();
};

/// A serial port is set to `baud`, 8 data bits, no parity, one stop bit, no flow control and raw mode, and is locked
/// against other programs that lock it. Another device is left as it is.
inline void set_up(link& port, const std::string& path, speed_t baud) {
    const int file = port.file.get();
    termios settings{};
    if (::tcgetattr(file, &settings) != 0) {
        if (errno == ENOTTY || errno == EINVAL) return;
        fail(path); // EIO: a port without hardware, or unplugged again
    }
    if (::flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        throw std::runtime_error(path + ": another program has locked this port");
    ::cfmakeraw(&settings);
    // The program that used the port before may have left other settings.
    settings.c_iflag &= ~static_cast<tcflag_t>(IXOFF);
    settings.c_cflag &= ~static_cast<tcflag_t>(CSTOPB | CRTSCTS);
    settings.c_cflag |= CLOCAL | CREAD;
    if (::cfsetspeed(&settings, baud) != 0 || ::tcsetattr(file, TCSANOW, &settings) != 0) fail(path);
    port.path = path;
    port.baud = baud;
}

/// A FIFO, a file and standard input (-) are only read. A FIFO that this user may not write to ends when its last
/// writer closes it.
inline link open_port(const std::string& path, speed_t baud) {
    if (path == "-") {
        link input{.file = mt::detail::owned_file(::dup(STDIN_FILENO)), .is_answered = false};
        if (input.file.get() < 0) fail("standard input");
        return input;
    }
    const auto open_as = [&path](int access) {
        return mt::detail::owned_file(::open(path.c_str(), access | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    };
    // Opened for writing too, so that a FIFO does not end when its last writer closes it.
    link opened{.file = open_as(O_RDWR)};
    struct stat found{};
    // EPERM: a file that is immutable or can only be appended to. ETXTBSY: a program that is running.
    if (opened.file.get() < 0 && (errno == EACCES || errno == EROFS || errno == EPERM || errno == ETXTBSY)) {
        const int reason = errno;
        const bool is_answered = ::stat(path.c_str(), &found) == 0 && S_ISCHR(found.st_mode);
        if (!is_answered) opened.file = open_as(O_RDONLY);
        else errno = reason;
    }
    if (opened.file.get() < 0 || ::fstat(opened.file.get(), &found) != 0) fail(path);
    opened.is_answered = S_ISCHR(found.st_mode);
    if (opened.is_answered) set_up(opened, path, baud);
    return opened;
}

/// `address` is an IPv4 address and a port: 127.0.0.1:7070.
inline mt::detail::owned_file listen_at(const std::string& address) {
    const auto colon = address.rfind(':');
    sockaddr_in at{};
    at.sin_family = AF_INET;
    if (colon == std::string::npos || ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &at.sin_addr) != 1)
        throw std::runtime_error(address + ": not an address and a port, such as 127.0.0.1:7070");
    at.sin_port = htons(port_in(std::string_view(address).substr(colon + 1), address));
    mt::detail::owned_file file(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int reuse = 1;
    ::setsockopt(file.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
    if (::bind(file.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 || ::listen(file.get(), 512) != 0)
        fail(address);
    return file;
}

inline int port_of(const mt::detail::owned_file& listening) {
    sockaddr_in at{};
    socklen_t size = sizeof at;
    ::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&at), &size);
    return ntohs(at.sin_port);
}

/// All links, polled together. A link that ends is closed. A serial port that is unplugged is opened again when it is
/// back.
class links {
public:
    void add(link added) {
        added.number = ++last_number_;
        links_.push_back(std::move(added));
    }
    void listen(mt::detail::owned_file listening) { listening_ = std::move(listening); }
    [[nodiscard]] bool empty() const { return links_.empty() && unplugged_.empty() && listening_.get() < 0; }

    /// Waits, also for `other` to be readable, and calls `take(std::uint64_t link, const frame&)` for each received
    /// frame, with the number of its link.
    template <class Take>
    void read(int milliseconds, int other, Take&& take) {
        plug_in();
        std::vector<pollfd> waited;
        waited.reserve(links_.size() + 2);
        for (const link& each : links_) waited.push_back({each.file.get(), POLLIN, 0});
        waited.push_back({listening_.get(), POLLIN, 0}); // ignored if negative
        waited.push_back({other, POLLIN, 0});
        if (::poll(waited.data(), waited.size(), milliseconds) <= 0) return;
        std::vector<link> left;
        left.reserve(links_.size());
        for (std::size_t i = 0; i < links_.size(); ++i)
            if (waited[i].revents == 0 || read(links_[i], take)) left.push_back(std::move(links_[i]));
            else end(links_[i]);
        links_ = std::move(left);
        if (waited[waited.size() - 2].revents != 0) accept();
    }

    /// Bytes that do not fit are dropped: the device sends its frame again, and it is acknowledged again.
    void write(std::uint64_t link_number, std::string_view bytes) const {
        for (const link& each : links_)
            if (each.number == link_number && each.is_answered)
                static_cast<void>(!::write(each.file.get(), bytes.data(), bytes.size()));
    }

    [[nodiscard]] std::uint64_t damaged() const {
        std::uint64_t all = damaged_of_ended_;
        for (const link& each : links_) all += each.decoder->damaged();
        return all;
    }

private:
    // Leaves files for the spool and its connections to MLflow.
    static std::size_t most() {
        constexpr rlim_t for_others = 32;
        rlimit files{};
        ::getrlimit(RLIMIT_NOFILE, &files);
        return files.rlim_cur <= for_others ? 1 : std::min<rlim_t>(files.rlim_cur - for_others, 1'000);
    }

    void end(link& ended) {
        damaged_of_ended_ += ended.decoder->damaged();
        if (ended.path.empty()) return;
        std::cerr << "device_gateway: " + ended.path + ": unplugged; it is opened again when it is back\n";
        unplugged_.emplace_back(ended.path, ended.baud);
    }
    void plug_in() {
        const auto now = std::chrono::steady_clock::now();
        if (unplugged_.empty() || now < plug_in_at_) return;
        plug_in_at_ = now + std::chrono::seconds(1);
        std::erase_if(unplugged_, [this](const auto& port) {
            try {
                add(open_port(port.first, port.second));
            } catch (const std::runtime_error&) {
                return false;
            }
            std::cerr << "device_gateway: " + port.first + ": opened again\n";
            return true;
        });
    }

    // A device that lost its power does not end its connection. If there is no room, the connection that has been
    // silent for longest is closed.
    void accept() {
        const auto next = [this] {
            return links_.size() < most_ ? ::accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)
                                         : -1;
        };
        int file = next();
        if (file < 0 && (links_.size() >= most_ || errno == EMFILE || errno == ENFILE)) {
            if (!close_silent()) ::poll(nullptr, 0, 100); // the files are used otherwise
            file = next();
        }
        for (; file >= 0; file = next()) add({.file = mt::detail::owned_file(file), .is_connection = true});
    }
    bool close_silent() {
        const auto silent = std::min_element(links_.begin(), links_.end(), [](const link& a, const link& b) {
            return a.is_connection != b.is_connection ? a.is_connection : a.heard < b.heard;
        });
        if (silent == links_.end() || !silent->is_connection) return false;
        end(*silent);
        links_.erase(silent);
        return true;
    }

    // Returns false at the end of the link.
    template <class Take>
    bool read(link& from, Take& take) {
        const auto size = ::read(from.file.get(), buffer_, sizeof buffer_);
        if (size < 0) return errno == EAGAIN || errno == EINTR;
        from.heard = std::chrono::steady_clock::now();
        from.decoder->read({buffer_, static_cast<std::size_t>(size)},
                           [&](const mt::frame& frame) { take(from.number, frame); });
        return size > 0;
    }

    const std::size_t most_ = most();
    std::uint64_t last_number_ = 0;
    std::vector<link> links_;
    mt::detail::owned_file listening_{-1};
    std::vector<std::pair<std::string, speed_t>> unplugged_;
    std::chrono::steady_clock::time_point plug_in_at_;
    std::uint64_t damaged_of_ended_ = 0;
    char buffer_[64 * 1024];
};

} // namespace device_gateway
