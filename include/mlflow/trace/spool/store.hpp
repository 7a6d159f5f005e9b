// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/spool/options.hpp>
#include <mlflow/trace/spool/segment.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The traces that are sent together. They stay in memory until all of them are done.
struct spool_load {
    trace_batch traces{};
    std::uint64_t until = 0; // position in the segment
    spool_damage damage{};
    std::size_t rounds = 0;
    std::size_t asked_for = 0; // traces behind the load that were used for control requests
    bool has_foreign = false;
};

// A segment that is being forwarded.
template <class Files>
struct spool_part {
    std::unique_ptr<spool_segment<Files>> segment;
    std::optional<spool_load> load{};
    std::uint64_t spans = 0;    // recorded by this process and not yet forwarded
    std::uint64_t appended = 0; // bytes written so far, including records cleared since
    std::uint64_t synced = 0;   // how many of these are on the disk
    int unreadable = 0;         // failed attempts to read
    bool is_syncing = false;
    bool is_own = true;
    bool is_kept = false; // holds data that cannot be forwarded: renamed to `.rejected` at the end
    bool is_gone = false; // dropped to make room
};

// The result of a look into the directory.
template <class Files>
struct spool_view {
    error fault; // why the directory was not read; its content may belong to another user
    std::uint64_t bytes = 0;
    std::unique_ptr<spool_segment<Files>> orphan; // the oldest segment of an ended process, now locked by this one
};

// Errors of this process or machine, which say nothing about the file.
inline bool is_of_this_process(int reason) noexcept {
    return reason == EMFILE || reason == ENFILE || reason == ENOMEM || reason == EIO;
}

template <class Files>
spool_view<Files> look_into(const std::string& folder) {
    spool_view<Files> seen;
    struct stat there{};
    if (::stat(folder.c_str(), &there) != 0) {
        if (const int reason = errno; reason != ENOENT) seen.fault = spool_fault(folder, reason);
        return seen;
    }
    if ((seen.fault = folder_fault(folder))) return seen;
    const auto names = segments_in(folder);
    if (const int reason = errno; names.empty() && reason != 0) seen.fault = spool_fault(folder, reason);
    for (const std::string& name : names) {
        if (!seen.orphan && name.ends_with(segment_name::waiting)) {
            seen.orphan = spool_segment<Files>::adopt(folder, name);
            if (const int reason = errno; !seen.orphan && is_of_this_process(reason))
                seen.fault = spool_fault(folder, reason);
            if (seen.orphan && seen.orphan->size() == 0 && seen.orphan->remove()) {
                seen.orphan.reset();
                continue;
            }
        }
        struct stat found{};
        if (::lstat((folder + '/' + name).c_str(), &found) == 0 && S_ISREG(found.st_mode))
            seen.bytes += static_cast<std::uint64_t>(found.st_size);
    }
    return seen;
}

// The segments that this process writes, oldest first; new records go to the last one. Functions that fail leave the
// reason in `error()`. Not thread-safe.
template <class Files>
class spool_store {
public:
    using part = spool_part<Files>;
    using part_pointer = std::shared_ptr<part>;

    template <class Options>
    explicit spool_store(const Options& chosen)
        : folder_(chosen.folder), max_bytes_(chosen.max_bytes),
          segment_bytes_(std::clamp<std::uint64_t>(chosen.segment_bytes, 1, chosen.max_bytes / 4 + 1)),
          is_for_power_loss_(chosen.durability == spool_durability::power_loss),
          drops_oldest_(chosen.when_full == spool_full::drop_oldest) {}

    // Writes the trace and returns its segment, or null on failure.
    part_pointer write(const trace_data& trace) {
        part_pointer to = writable();
        if (!to) return nullptr;
        record_.clear_to(kept_request);
        if (!spool_format::append_record(record_, to->segment->marker(), trace))
            return say(error_kind::dropped, "out of memory, or a span larger than 256 MiB"), nullptr;
        if (!make_room(record_.size()))
            return say(error_kind::dropped, "has reached max_bytes, " + std::to_string(max_bytes_) +
                                                "; find out why its traces are not delivered, or raise max_bytes"),
                   nullptr;
        if (!to->segment->append(record_.view())) return fail(to->segment->path()), nullptr;
        to->spans += trace.span_count;
        to->appended += record_.size();
        bytes_ += record_.size();
        record_.clear_to(kept_request);
        return to;
    }

    // The oldest segment that has something to forward, or null.
    [[nodiscard]] part_pointer front() const noexcept {
        return !parts_.empty() && parts_.front()->segment->forwarded() < parts_.front()->segment->size()
                   ? parts_.front()
                   : nullptr;
    }

    // The segment after it, or null.
    [[nodiscard]] part_pointer second() const noexcept { return parts_.size() > 1 ? parts_[1] : nullptr; }

    // Removes a segment that has been forwarded or dropped, or renames it if it must be kept. A segment of this
    // process must be the oldest one.
    void finish(const part_pointer& done) {
        if (done->is_own) bytes_ -= done->segment->size();
        const bool is_written_to = is_open_ && parts_.back() == done;
        if (is_written_to && !done->is_kept && done->segment->clear()) return;
        if (is_written_to) is_open_ = false;
        if (done->is_own) parts_.pop_front();
        if (take_away(*done)) return;
        fail(done->segment->path());
        unfinished_.push_back(done);
    }
    // Tries again to remove or rename segments for which that failed.
    void finish_again() {
        std::erase_if(unfinished_, [](const part_pointer& one) { return take_away(*one); });
    }

    // Quarantines a trace in a segment with the ending `.rejected`.
    bool put_aside(const trace_data& trace) {
        if (rejected_ && !rejected_->is_there()) rejected_.reset();
        if (!rejected_ && !(rejected_ = create(segment_name::rejected))) return false;
        record_.clear_to(kept_request);
        if (!spool_format::append_record(record_, rejected_->marker(), trace))
            return say(error_kind::out_of_memory, "out of memory"), false;
        if (!rejected_->append(record_.view()) || (is_for_power_loss_ && !rejected_->sync()))
            return fail(rejected_->path()), false;
        return true;
    }

    // Removes the current file if it has no records. Call at the end.
    void close() {
        if (is_open_ && parts_.back()->segment->size() == 0) parts_.back()->segment->remove();
        is_open_ = false;
    }

    void set_bytes_in_folder(std::uint64_t all) noexcept { others_bytes_ = all - std::min(all, bytes_); }
    [[nodiscard]] std::uint64_t bytes_in_folder() const noexcept { return bytes_ + others_bytes_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    // Spans dropped to make room: of this process, and of ended ones.
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }
    [[nodiscard]] std::uint64_t dropped_of_others() const noexcept { return dropped_of_others_; }
    [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }
    [[nodiscard]] const mlflow::trace::error& error() const noexcept { return error_; }

    // Records the failure of a system call, from errno.
    void fail(const std::string& path) {
        const int reason = errno;
        ++failures_;
        error_ = spool_fault(path, reason);
    }

private:
    static bool take_away(const part& done) { return done.is_kept ? done.segment->reject() : done.segment->remove(); }

    void say(error_kind kind, std::string_view what) noexcept { error_ = {kind, folder_, what}; }

    part_pointer writable() {
        if (is_open_ && parts_.back()->segment->size() < segment_bytes_ && parts_.back()->segment->is_there())
            return parts_.back();
        // A removed file from which everything has been forwarded would block the segments after it.
        if (is_open_ && parts_.back()->segment->left() == 0) parts_.pop_back();
        is_open_ = false;
        auto created = create(segment_name::waiting);
        if (!created) return nullptr;
        parts_.push_back(std::make_shared<part>());
        parts_.back()->segment = std::move(created);
        is_open_ = true;
        return parts_.back();
    }
    std::unique_ptr<spool_segment<Files>> create(std::string_view kind) {
        if (auto fault = make_folder(folder_)) {
            ++failures_;
            error_ = std::move(fault);
            return nullptr;
        }
        auto created = spool_segment<Files>::create(folder_, kind);
        if (!created || (is_for_power_loss_ && !sync_folder())) return fail(folder_), nullptr;
        return created;
    }
    // Makes the names of new files durable.
    [[nodiscard]] bool sync_folder() const {
        const std::string itself = folder_ + "/."; // follows a symbolic link
        const owned_file file(uninterrupted([&] { return Files::open(itself.c_str(), O_RDONLY | O_DIRECTORY); }));
        return file.get() >= 0 && uninterrupted([&] { return Files::sync(file.get()); }) == 0;
    }

    bool make_room(std::size_t needed) {
        while (bytes_in_folder() + needed > max_bytes_)
            if (!drops_oldest_ || (!drop_orphan() && !drop_own())) return false;
        return true;
    }
    bool drop_orphan() {
        if (others_bytes_ == 0) return false;
        const auto seen = look_into<Files>(folder_);
        const bool is_dropped = seen.orphan && seen.orphan->remove();
        if (!seen.fault) set_bytes_in_folder(seen.bytes - (is_dropped ? seen.orphan->size() : 0));
        if (!is_dropped) return false;
        auto reader = seen.orphan->reader();
        for (std::string_view content; (content = reader.next()).data();)
            dropped_of_others_ += spool_format::span_count(content);
        return true;
    }
    bool drop_own() {
        if (parts_.size() < (is_open_ ? 2U : 1U)) return false;
        const part_pointer oldest = parts_.front();
        oldest->is_gone = true;
        dropped_ += oldest->spans;
        finish(oldest);
        return true;
    }

    std::string folder_;
    std::uint64_t max_bytes_;
    std::uint64_t segment_bytes_;
    bool is_for_power_loss_;
    bool drops_oldest_;
    bool is_open_ = false; // the last part accepts records
    std::deque<part_pointer> parts_;
    std::vector<part_pointer> unfinished_; // kept locked, so that no process forwards them again
    std::unique_ptr<spool_segment<Files>> rejected_;
    buffer record_;
    std::uint64_t bytes_ = 0;
    std::uint64_t others_bytes_ = 0;
    std::uint64_t dropped_ = 0;
    std::uint64_t dropped_of_others_ = 0;
    std::uint64_t failures_ = 0;
    mlflow::trace::error error_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
