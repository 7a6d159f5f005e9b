// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/result.hpp>
#include <mlflow/trace/platform/files.hpp>
#include <mlflow/trace/spool/segment.hpp>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

// The files of a spool directory, for tools. Processes may be working in the directory.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A file of a spool.
struct spool_file {
    /// The path of the file.
    std::string path;
    /// When the file was created, as its name says.
    std::chrono::sys_time<std::chrono::nanoseconds> created;
    /// The random number that starts each record.
    std::uint64_t marker = 0;
    /// The size of the file.
    std::uint64_t bytes = 0;
    bool is_rejected = false; ///< holds spans that the receiver rejected; no spool forwards it
    bool is_in_use = false;   ///< a process is writing or forwarding it
};

namespace detail {

inline failure unreadable(const std::string& path) { return failure{file_error(path, errno)}; }

} // namespace detail

/// Lists the files of a spool directory, oldest first. Errors: `error_kind::file` if the directory cannot be read.
inline result<std::vector<spool_file>> list_spool(const std::string& folder) {
    std::vector<spool_file> files;
    const auto names = detail::segments_in(folder);
    if (names.empty() && errno != 0) return detail::unreadable(folder);
    for (const std::string& name : names) {
        const auto parsed = *detail::segment_name::parse(name);
        spool_file file{.path = folder + '/' + name,
                        .created = std::chrono::sys_time<std::chrono::nanoseconds>(
                            std::chrono::nanoseconds(static_cast<std::int64_t>(parsed.created_nano))),
                        .marker = parsed.marker,
                        .is_rejected = parsed.kind == detail::segment_name::rejected};
        const auto opened = detail::open_regular(file.path);
        struct stat found{};
        if (opened.get() < 0 || ::fstat(opened.get(), &found) != 0)
            continue; // forwarded in the meantime, or not a file of this user
        file.bytes = static_cast<std::uint64_t>(found.st_size);
        file.is_in_use = ::flock(opened.get(), LOCK_SH | LOCK_NB) != 0;
        files.push_back(std::move(file));
    }
    return files;
}

/// Calls `visit(const trace_data&)` for each trace in the file, and returns the amount of damage that was skipped.
/// Records of other versions count as damage. Errors: `error_kind::file` if the file cannot be read,
/// `error_kind::out_of_memory`.
template <class Visit>
result<spool_damage> for_each_trace(const spool_file& file, const Visit& visit) {
    const auto opened = detail::open_regular(file.path);
    if (opened.get() < 0) return detail::unreadable(file.path);
    detail::spool_reader<posix_files> reader(opened.get(), file.marker, 0, file.bytes);
    spool_damage unknown;
    for (std::string_view content; (content = reader.next()).data();) {
        detail::spool_format::reading how{};
        if (trace_data* const trace = detail::spool_format::decode_record(content, how)) {
            const trace_batch owner(trace);
            visit(static_cast<const trace_data&>(*trace));
        } else if (how == detail::spool_format::reading::out_of_memory) {
            return failure{error(error_kind::out_of_memory, file.path, "out of memory")};
        } else {
            ++unknown.places;
            unknown.bytes += detail::spool_format::header_size + content.size();
        }
    }
    if (reader.failed()) return detail::unreadable(file.path);
    return spool_damage{reader.damage().places + unknown.places, reader.damage().bytes + unknown.bytes};
}

/// Renames a rejected file, so that the next spool that looks into the directory forwards it again. Returns false,
/// with the reason in errno, if the file is in use or cannot be renamed.
inline bool forward_again(const spool_file& file) {
    const auto slash = file.path.rfind('/');
    const auto held =
        detail::spool_segment<posix_files>::adopt(file.path.substr(0, slash), file.path.substr(slash + 1));
    const auto ending = file.path.size() - detail::segment_name::rejected.size();
    const auto waiting = file.path.substr(0, ending) + std::string(detail::segment_name::waiting);
    return held && ::rename(file.path.c_str(), waiting.c_str()) == 0;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
