// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/platform/replaced_file.hpp>
#include <mlflow/trace/spool/folder.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <type_traits>
#include <unistd.h>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What `remove_from` removed from a file of a spool.
struct spool_removal {
    /// Traces that matched.
    std::uint64_t traces = 0;
    std::uint64_t bytes = 0;       ///< by which the file became shorter
    std::uint64_t unreadable = 0;  ///< damaged places and records of other versions that contained the text
    bool is_removed = false;       ///< whether the file itself was removed, because nothing was left in it
    std::uint64_t other_links = 0; ///< other hard links to the file, which keep the old content
};

/// Removes traces from a file of a spool, waiting or rejected: those for which `is_to_go(const trace_data&)` is true,
/// and every damaged place or record of another version that contains `text`. All other records are kept byte for
/// byte. The file is replaced atomically, or deleted if nothing is left. A file without matches is not changed.
///
/// Errors: `error_kind::file` if the file cannot be read or written, or is in use by a process (`code()` is
/// EWOULDBLOCK); `error_kind::out_of_memory`. The file is unchanged then.
///
/// Thread-safety: any thread. A spool may be working in the directory.
template <class Match>
result<spool_removal> remove_from(const spool_file& file, const Match& is_to_go, std::string_view text) {
    static_assert(std::is_invocable_r_v<bool, const Match&, const trace_data&>);
    namespace format = detail::spool_format;
    const auto slash = file.path.rfind('/');
    const auto held =
        detail::spool_segment<posix_files>::adopt(file.path.substr(0, slash), file.path.substr(slash + 1));
    if (!held) return detail::unreadable(file.path);
    const detail::owned_file opened = detail::open_regular(file.path);
    struct stat found{};
    if (opened.get() < 0 || ::fstat(opened.get(), &found) != 0) return detail::unreadable(file.path);

    spool_removal removed;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> kept; // begin and end
    const auto keep = [&](std::uint64_t from, std::uint64_t to) {
        if (!kept.empty() && kept.back().second == from) kept.back().second = to;
        else kept.emplace_back(from, to);
    };
    std::string damaged;
    std::uint64_t end = 0; // of the bytes decided so far
    bool is_read = true;
    const auto decide_damage = [&](std::uint64_t until) {
        if (until <= end) return;
        is_read = is_read && detail::read_between(opened.get(), end, until, damaged);
        if (damaged.find(text) == damaged.npos) keep(end, until);
        else ++removed.unreadable;
    };
    auto reader = held->reader(0);
    for (std::string_view content; (content = reader.next()).data(); end = reader.position()) {
        const std::uint64_t from = reader.position() - format::header_size - content.size();
        decide_damage(from);
        format::reading how{};
        bool is_going = false;
        if (trace_data* const trace = format::decode_record(content, how)) {
            const trace_batch owner(trace);
            is_going = is_to_go(static_cast<const trace_data&>(*trace));
            removed.traces += is_going ? 1U : 0U;
        } else if (how == format::reading::out_of_memory) {
            return failure{error(error_kind::out_of_memory, file.path, "out of memory")};
        } else if (content.find(text) != content.npos) {
            is_going = true;
            ++removed.unreadable;
        }
        if (!is_going) keep(from, reader.position());
    }
    decide_damage(held->size());
    if (reader.failed() || !is_read) return detail::unreadable(file.path);
    if (removed.traces + removed.unreadable == 0) return removed;

    removed.other_links = detail::other_links_to(found);
    removed.bytes = held->size();
    if (kept.empty()) {
        if (::unlink(file.path.c_str()) != 0) return detail::unreadable(file.path);
        detail::sync_folder(file.path.substr(0, slash + 1));
        removed.is_removed = true;
        return removed;
    }
    detail::replaced_file instead(file.path);
    if (instead.get() < 0) return detail::unreadable(file.path);
    constexpr std::uint64_t block = 1U << 20U;
    std::string bytes;
    for (auto [from, to] : kept)
        for (removed.bytes -= to - from; from < to; from += bytes.size())
            if (!detail::read_between(opened.get(), from, std::min(to, from + block), bytes) || !instead.write(bytes))
                return detail::unreadable(file.path);
    if (!instead.take_the_place(found)) return detail::unreadable(file.path);
    return removed;
}

/// Removes the traces of one user: those whose metadata has this user, and those for whose ID (`tr-…`) `is_known`
/// returns true. Otherwise as `remove_from`.
template <class Known>
result<spool_removal> remove_user_from(const spool_file& file, std::string_view user, const Known& is_known) {
    return remove_from(
        file,
        [&](const trace_data& trace) {
            return trace.entries.find(entry_kind::metadata, "mlflow.trace.user") == user ||
                   is_known(trace.id.mlflow_id().view());
        },
        user);
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
