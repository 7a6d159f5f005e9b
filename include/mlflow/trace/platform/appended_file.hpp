// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/platform/files.hpp>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// A file of lines to which this and other processes append. One thread at a time.
class appended_file {
public:
    // Whether the file is open and still at this path.
    [[nodiscard]] bool is_at(const std::string& path) const noexcept {
        struct stat opened{};
        struct stat named{};
        return file_.get() >= 0 && ::fstat(file_.get(), &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
               is_same_file(opened, named);
    }

    // Opens the file, and creates it if necessary, readable by its owner only.
    error open(const std::string& path) {
        file_ = owned_file();
        // Checked before opening too, so that not even an empty file is created through another user's link.
        if (!is_inherited(path))
            if (const auto fault = follow(path, folders::of_anybody).fault; !fault.empty())
                return file_error(path, fault);
        // Read access is needed to see how the file ends. With O_NONBLOCK, opening a FIFO without a reader fails, and
        // does not block.
        constexpr int flags = O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
        const auto opened_for = [&](int access) {
            return uninterrupted([&] { return ::open(path.c_str(), access | flags | O_CREAT, 0600); });
        };
        struct stat there{};
        const bool is_file = ::stat(path.c_str(), &there) != 0 || S_ISREG(there.st_mode);
        owned_file opened(opened_for(is_file ? O_RDWR : O_WRONLY));
        if (opened.get() < 0 && is_file && errno == EACCES) opened = owned_file(opened_for(O_WRONLY));
        struct stat found{};
        if (opened.get() < 0 || ::fstat(opened.get(), &found) != 0) return file_error(path, errno);
        if (!is_inherited(path))
            if (const auto fault = fault_of(path, found); !fault.empty()) return file_error(path, fault);
        if (::fcntl(opened.get(), F_SETFL, O_APPEND) != 0) return file_error(path, errno);
        is_regular_ = S_ISREG(found.st_mode);
        file_ = std::move(opened);
        return {};
    }

    // Appends a line that ends in a newline. After a failure, errno has the reason; the next call ends the partial
    // line first.
    bool append_line(std::string_view line) noexcept {
        const bool is_locked = is_regular_ && lock();
        const bool is_written = (ends_in_a_line() || write("\n")) && write(line);
        const int reason = errno;
        if (is_locked) ::flock(file_.get(), LOCK_UN);
        errno = reason;
        return is_written;
    }

private:
    // The process inherited this file.
    static bool is_inherited(std::string_view path) noexcept {
        return path == "/dev/stdout" || path == "/dev/stderr" || path.starts_with("/dev/fd/") ||
               path.starts_with("/proc/self/fd/");
    }

    static std::string fault_of(const std::string& path, const struct stat& opened) {
        // Checked after opening, in case a link was changed in between.
        const path_end named = follow(path, folders::of_anybody);
        if (!named.fault.empty()) return named.fault;
        if (!named.is_there || !is_same_file(named.found, opened)) return "was replaced while it was being opened";
        if (S_ISCHR(opened.st_mode)) return {};
        if (!S_ISREG(opened.st_mode))
            return is_ours_or_roots(opened) ? std::string() : "was created by another user; choose another path";
        if (opened.st_uid != ::geteuid()) return "belongs to another user, who could read it; choose another path";
        if ((opened.st_mode & (S_IWGRP | S_IWOTH)) != 0)
            return "is writable by others; remove that permission (chmod go-w), or choose another path";
        if (opened.st_nlink > 1) return "has a second hard link; choose another path";
        return {};
    }

    // Tries only for a short time: another user who may only read the file could hold the lock indefinitely.
    bool lock() const noexcept {
        for (int attempt = 0; attempt < 20; ++attempt) {
            if (::flock(file_.get(), LOCK_EX | LOCK_NB) == 0) return true;
            if (errno != EWOULDBLOCK && errno != EINTR) return false;
            const timespec pause{0, 500'000};
            ::nanosleep(&pause, nullptr);
        }
        return false;
    }

    // The last line may have been truncated by another process or an earlier run.
    [[nodiscard]] bool ends_in_a_line() const noexcept {
        if (!is_regular_) return !is_cut_;
        struct stat found{};
        char last = 0;
        if (::fstat(file_.get(), &found) != 0 || found.st_size == 0) return true;
        if (uninterrupted([&] { return ::pread(file_.get(), &last, 1, found.st_size - 1); }) != 1) return !is_cut_;
        return last == '\n';
    }

    bool write(std::string_view bytes) noexcept {
        while (!bytes.empty()) {
            const auto written = uninterrupted([&] { return ::write(file_.get(), bytes.data(), bytes.size()); });
            if (written <= 0) {
                if (written == 0) errno = EIO;
                return false;
            }
            bytes.remove_prefix(static_cast<std::size_t>(written));
            is_cut_ = !bytes.empty();
        }
        return true;
    }

    owned_file file_;
    bool is_regular_ = true;
    bool is_cut_ = false; // used if the end of the file cannot be read
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
