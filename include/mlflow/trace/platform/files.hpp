// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

// Files and folders that other users of the machine may have made, renamed or linked.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Closes its file, and with it gives up the lock.
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

// Again as long as a signal comes between.
template <class Call>
auto uninterrupted(const Call& call) noexcept {
    for (;;)
        if (const auto outcome = call(); outcome >= 0 || errno != EINTR) return outcome;
}

// A file to read among others of a folder: neither a link, nor one that would wait for a writer, as a FIFO does.
inline owned_file open_regular(const std::string& path) noexcept {
    owned_file file(
        uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); }));
    struct stat found{};
    if (file.get() < 0 || (::fstat(file.get(), &found) == 0 && S_ISREG(found.st_mode))) return file;
    errno = EINVAL;
    return owned_file();
}

inline bool is_same_file(const struct stat& one, const struct stat& other) noexcept {
    return one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

inline bool is_ours_or_roots(const struct stat& found) noexcept {
    return found.st_uid == 0 || found.st_uid == ::geteuid();
}

inline bool is_in_own_group(gid_t group) {
    if (group == ::getegid()) return true;
    const int most = ::getgroups(0, nullptr);
    std::vector<gid_t> all(static_cast<std::size_t>(most > 0 ? most : 0));
    const int count = ::getgroups(static_cast<int>(all.size()), all.data());
    for (int i = 0; i < count; ++i)
        if (all[static_cast<std::size_t>(i)] == group) return true;
    return false;
}

// Whether users other than this one, root and the members of an own group can rename what stands in the folder. In
// one with the sticky bit, such as /tmp, nobody can but the owner.
inline bool others_may_rename_in(const struct stat& folder) {
    if ((folder.st_mode & S_ISVTX) != 0) return false;
    return (folder.st_mode & S_IWOTH) != 0 || ((folder.st_mode & S_IWGRP) != 0 && !is_in_own_group(folder.st_gid));
}

// Where a path leads.
struct path_end {
    std::string fault; // how another user could lead elsewhere: one line with its remedy; empty where nobody could
    bool is_there = false;
    struct stat found{};
};

enum class folders : bool {
    of_anybody, // enough where the file at the end is looked at too
    trusted     // nobody but this user and root may rename what stands in them
};

// Follows a path as open() does.
inline path_end follow(const std::string& path, folders needed) {
    path_end end;
    std::string rest = path;
    const auto failed = [&end](std::string why) {
        end.fault = std::move(why);
        return end;
    };
    if (!path.starts_with('/')) {
        char here[4096];
        if (!::getcwd(here, sizeof here)) return failed(std::string("the current folder: ") + std::strerror(errno));
        rest = std::string(here) + '/' + path;
    }
    int links = 0;
    for (std::string at; !rest.empty();) {
        const auto slash = rest.substr(0, rest.find('/')).size();
        const std::string step = rest.substr(0, slash);
        rest.erase(0, slash + 1);
        if (step.empty() || step == ".") continue;
        if (step == "..") {
            if (const auto last = at.rfind('/'); last != at.npos) at.erase(last);
            continue;
        }
        const std::string next = at + '/' + step;
        end.is_there = ::lstat(next.c_str(), &end.found) == 0;
        if (!end.is_there) return end;
        const bool is_link = S_ISLNK(end.found.st_mode);
        const bool is_trusted = needed == folders::trusted;
        if ((is_link || is_trusted) && !is_ours_or_roots(end.found))
            return failed(next + " belongs to another user; give a path that is this user's and root's alone");
        if (is_trusted && S_ISDIR(end.found.st_mode) && !rest.empty() && others_may_rename_in(end.found))
            return failed(next +
                          ": others may write to this folder; take that right away (chmod go-w), or give another");
        if (!is_link) {
            at = next;
            continue;
        }
        char target[4096];
        const auto size = ::readlink(next.c_str(), target, sizeof target);
        if (size <= 0 || ++links > 40) return failed(next + ": a symbolic link that leads nowhere");
        rest = std::string(target, static_cast<std::size_t>(size)) + '/' + rest;
        if (rest.starts_with('/')) at.clear();
    }
    return end;
}

// Why a folder is no place for what users said: it is to be this user's alone, and so is the way to it. Others could
// put anything in there otherwise, or take it away. One line with its remedy; empty where all is well.
inline std::string folder_fault(const std::string& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) return path + ": " + std::strerror(errno);
    if (!S_ISDIR(found.st_mode)) return path + ": " + std::strerror(ENOTDIR);
    if (found.st_uid != ::geteuid())
        return path + " belongs to another user; give a folder that is this user's alone (mode 0700)";
    if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return path + ": others may write to it; give a folder that is this user's alone (mode 0700)";
    return follow(path, folders::trusted).fault;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
