// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/platform/file_owners.hpp>
#include <mlflow/trace/platform/owned_file.hpp>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

// Safe access to files and folders that other users of the machine may have created, renamed or linked.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The result of following a path.
struct path_end {
    std::string fault; // how another user could redirect the path: one line with a remedy; empty if none could
    bool is_there = false;
    struct stat found{};
};

enum class folders : bool {
    of_anybody, // sufficient if the file at the end is checked too
    trusted     // only this user and root may rename their entries
};

// Follows a path in the same way as open().
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
            return failed(next + " belongs to another user; choose a path that belongs to this user and root only");
        if (is_trusted && S_ISDIR(end.found.st_mode) && !rest.empty() && others_may_rename_in(end.found))
            return failed(
                next +
                ": this folder is writable by others; remove that permission (chmod go-w), or choose another one");
        if (!is_link) {
            at = next;
            continue;
        }
        char target[4096];
        const auto size = ::readlink(next.c_str(), target, sizeof target);
        if (size <= 0 || ++links > 40) return failed(next + ": a broken symbolic link");
        rest = std::string(target, static_cast<std::size_t>(size)) + '/' + rest;
        if (rest.starts_with('/')) at.clear();
    }
    return end;
}

// The error of a file: of a system call, by its errno, or with a text that may begin with the path.
inline error file_error(const std::string& path, int reason, std::string_view remedy = {}) {
    return {error_kind::file, path, std::strerror(reason) + std::string(remedy),
            std::error_code(reason, std::generic_category())};
}
inline error file_error(const std::string& path, std::string_view fault) noexcept {
    if (!fault.starts_with(path)) return {error_kind::file, path, fault};
    return error(error_kind::file, path, fault).with_message(fault);
}

// Returns why a directory is not safe for recorded content, with a remedy; no error if it is safe. It must
// be writable by this user alone, and the directories above it must belong to this user or root: others could
// otherwise insert or remove files.
inline error folder_fault(const std::string& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) return file_error(path, errno);
    if (!S_ISDIR(found.st_mode)) return file_error(path, ENOTDIR);
    if (found.st_uid != ::geteuid())
        return file_error(path, " belongs to another user; set a folder that belongs to this user alone (mode 0700)");
    if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return file_error(path, "others may write to it; set a folder that belongs to this user alone (mode 0700)");
    const std::string fault = follow(path, folders::trusted).fault;
    return fault.empty() ? error() : file_error(path, fault);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
