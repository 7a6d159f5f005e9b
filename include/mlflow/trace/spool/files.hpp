// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/platform/files.hpp>
#include <mlflow/trace/spool/segment_name.hpp>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The system calls with which a spool reads and changes its files. Tests replace them to inject faults. The files
/// are readable by their owner only, and are not inherited by child programs.
struct posix_files {
    /// `O_NONBLOCK`, because opening a FIFO would block otherwise.
    static int open(const char* path, int flags) noexcept {
        return ::open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    }
    /// As `pwrite`.
    static ssize_t write(int file, const char* from, std::size_t size, off_t at) noexcept {
        return ::pwrite(file, from, size, at);
    }
    /// As `pread`.
    static ssize_t read(int file, char* to, std::size_t size, off_t at) noexcept {
        return ::pread(file, to, size, at);
    }
    /// As `ftruncate`.
    static int resize(int file, off_t size) noexcept { return ::ftruncate(file, size); }
    /// As `fdatasync`.
    static int sync(int file) noexcept { return ::fdatasync(file); }
    /// Takes an exclusive `flock` without waiting.
    static int lock(int file) noexcept { return ::flock(file, LOCK_EX | LOCK_NB); }
    /// As `rename`.
    static int rename(const char* from, const char* to) noexcept { return ::rename(from, to); }
    /// As `unlink`.
    static int remove(const char* path) noexcept { return ::unlink(path); }
};

namespace detail {

// The error of a system call, with a remedy.
inline error spool_fault(const std::string& path, int reason) {
    switch (reason) {
    case ENOSPC:
    case EDQUOT: return file_error(path, reason, "; free some space, or set another folder");
    case EACCES:
    case EPERM: return file_error(path, reason, "; set a folder that this user may create and write to (mode 0700)");
    case EROFS: return file_error(path, reason, "; set a folder on a file system that can be written to");
    case ENOTDIR: return file_error(path, reason, "; set the path of a folder");
    default: return file_error(path, reason);
    }
}

// Creates the directory and its parents. Returns no error if the directory can be used.
inline error make_folder(const std::string& path) {
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
