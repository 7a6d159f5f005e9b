// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Closes its file descriptor, which also releases its lock.
class owned_file {
public:
    explicit owned_file(int file = -1) noexcept : file_(file) {}
    owned_file(const owned_file&) = delete;
    owned_file& operator=(const owned_file&) = delete;
    owned_file(owned_file&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
    owned_file& operator=(owned_file&& other) noexcept {
        std::swap(file_, other.file_);
        return *this;
    }
    ~owned_file() {
        if (file_ >= 0) ::close(file_);
    }
    [[nodiscard]] int get() const noexcept { return file_; }

private:
    int file_;
};

// Repeats a system call that was interrupted by a signal.
template <class Call>
auto uninterrupted(const Call& call) noexcept {
    for (;;)
        if (const auto outcome = call(); outcome >= 0 || errno != EINTR) return outcome;
}

// Opens a file of a directory for reading. Does not follow links, and does not block on a FIFO.
inline owned_file open_regular(const std::string& path) noexcept {
    owned_file file(
        uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); }));
    struct stat found{};
    if (file.get() < 0 || (::fstat(file.get(), &found) == 0 && S_ISREG(found.st_mode))) return file;
    errno = EINVAL;
    return owned_file();
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
