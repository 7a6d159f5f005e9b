// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

// Who a file belongs to, and who else may replace it.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

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

// Whether users other than this one, root, and the members of this user's groups can rename entries of the directory.
// With the sticky bit, as in /tmp, only the owner of an entry can.
inline bool others_may_rename_in(const struct stat& folder) {
    if ((folder.st_mode & S_ISVTX) != 0) return false;
    return (folder.st_mode & S_IWOTH) != 0 || ((folder.st_mode & S_IWGRP) != 0 && !is_in_own_group(folder.st_gid));
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
