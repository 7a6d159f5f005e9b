// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/platform/files.hpp>
#include <mlflow/trace/text/hex.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The calls by which a spool changes and reads its files, as POSIX has them. A test of faults puts its own in their
/// place. Files are readable by their owner only, and not inherited by programs that are started.
struct posix_files {
    static int open(const char* path, int flags) noexcept {
        return ::open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600); // a FIFO must not keep us waiting
    }
    static ssize_t write(int file, const char* from, std::size_t size, off_t at) noexcept {
        return ::pwrite(file, from, size, at);
    }
    static ssize_t read(int file, char* to, std::size_t size, off_t at) noexcept {
        return ::pread(file, to, size, at);
    }
    static int resize(int file, off_t size) noexcept { return ::ftruncate(file, size); }
    static int sync(int file) noexcept { return ::fdatasync(file); }
    static int lock(int file) noexcept { return ::flock(file, LOCK_EX | LOCK_NB); }
    static int rename(const char* from, const char* to) noexcept { return ::rename(from, to); }
    static int remove(const char* path) noexcept { return ::unlink(path); }
};

namespace detail {

// What the name of a segment says: `<unix nanoseconds>-<marker>.spool`, or `.rejected`, both numbers in 16 digits.
struct segment_name {
    static constexpr std::string_view waiting = ".spool";
    static constexpr std::string_view rejected = ".rejected"; // kept for a person to look at

    std::uint64_t created_nano = 0;
    std::uint64_t marker = 0;
    std::string_view kind = waiting;

    [[nodiscard]] std::string text() const {
        char digits[33];
        write_hex(digits, created_nano);
        digits[16] = '-';
        write_hex(digits + 17, marker);
        return std::string(digits, sizeof digits) + std::string(kind);
    }
    [[nodiscard]] static std::optional<segment_name> parse(std::string_view text) noexcept {
        segment_name parsed;
        if (text.ends_with(rejected)) parsed.kind = rejected;
        if (text.size() != 33 + parsed.kind.size() || !text.ends_with(parsed.kind) || text[16] != '-')
            return std::nullopt;
        for (std::size_t i = 0; i < 33; ++i) {
            const int digit = hex_digit_value(text[i]);
            if (i == 16) continue;
            if (digit < 0) return std::nullopt;
            auto& number = i < 16 ? parsed.created_nano : parsed.marker;
            number = number << 4U | static_cast<unsigned>(digit);
        }
        return parsed;
    }
};

// The names of all segments in a folder, oldest first; none when it cannot be read, with the reason in errno.
inline std::vector<std::string> segments_in(const std::string& folder) {
    struct closer {
        void operator()(DIR* open) const noexcept { ::closedir(open); }
    };
    std::vector<std::string> names;
    errno = 0;
    const std::unique_ptr<DIR, closer> listing(::opendir(folder.c_str()));
    if (!listing) return names;
    while (const dirent* const entry = ::readdir(listing.get()))
        if (segment_name::parse(entry->d_name)) names.emplace_back(entry->d_name);
    std::sort(names.begin(), names.end());
    return names;
}

// What errno says, and what to do about it.
inline std::string spool_fault(const std::string& path, int reason) {
    std::string said = path + ": " + std::strerror(reason);
    if (reason == ENOSPC || reason == EDQUOT) said += "; make room, or give the spool another folder";
    if (reason == EACCES || reason == EPERM || reason == EROFS)
        said += "; give the spool a folder that is this user's alone (mode 0700)";
    return said;
}

// With all folders above it. Says what is wrong with it, in one line; empty where it may be used.
inline std::string make_folder(const std::string& path) {
    for (std::size_t end = 0; end != std::string::npos;) {
        end = path.find('/', end + 1);
        if (::mkdir(path.substr(0, end).c_str(), 0700) != 0 && errno != EEXIST)
            return spool_fault(path.substr(0, end), errno);
    }
    return folder_fault(path);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
