// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/pipeline/spool_segment.hpp>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>
#include <vector>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

// A segment on its way to the receiver.
template <class Files>
struct spool_part {
    std::unique_ptr<spool_segment<Files>> segment;
    std::uint64_t spans = 0;    // recorded by this process and not forwarded yet
    std::uint64_t appended = 0; // bytes, also of records that are gone
    std::uint64_t synced = 0;   // of these
    int unreadable = 0;         // attempts that failed
    bool is_syncing = false;
    bool is_own = true;
    bool is_kept = false; // holds what cannot be handed on: stays for a person to look at
    bool is_gone = false; // dropped, to make room
};

// What a look into the folder finds.
template <class Files>
struct spool_view {
    std::uint64_t bytes = 0;
    std::unique_ptr<spool_segment<Files>> orphan; // the oldest one whose process is gone, now ours
};

template <class Files>
spool_view<Files> look_into(const std::string& folder) {
    spool_view<Files> seen;
    for (const std::string& name : segments_in(folder)) {
        if (!seen.orphan && name.ends_with(segment_name::waiting)) {
            seen.orphan = spool_segment<Files>::adopt(folder, name);
            if (seen.orphan && seen.orphan->size() == 0 && seen.orphan->remove()) {
                seen.orphan.reset();
                continue;
            }
        }
        struct stat found{};
        if (::stat((folder + '/' + name).c_str(), &found) == 0)
            seen.bytes += static_cast<std::uint64_t>(found.st_size);
    }
    return seen;
}

// The segments that this process writes, oldest first; the last one is written to. Not thread-safe.
template <class Files>
class spool_store {
public:
    using part = spool_part<Files>;
    using part_pointer = std::shared_ptr<part>;

    spool_store(std::string folder, std::uint64_t segment_bytes) noexcept
        : folder_(std::move(folder)), segment_bytes_(segment_bytes) {}

    // Where a record goes; null when there can be no segment, with the reason in `error()`.
    part_pointer writable() {
        if (!parts_.empty() && is_open_ && parts_.back()->segment->size() < segment_bytes_) return parts_.back();
        is_open_ = false;
        if (!make_folder(folder_)) return fail(folder_), nullptr;
        auto created = spool_segment<Files>::create(folder_, segment_name::waiting);
        if (!created) return fail(folder_), nullptr;
        parts_.push_back(std::make_shared<part>());
        parts_.back()->segment = std::move(created);
        is_open_ = true;
        return parts_.back();
    }

    bool append(part& to, std::string_view records, std::uint64_t spans) {
        if (!to.segment->append(records)) return fail(to.segment->path()), false;
        to.spans += spans;
        to.appended += records.size();
        bytes_ += records.size();
        return true;
    }

    // The oldest that has something to forward, or null.
    [[nodiscard]] part_pointer front() const noexcept {
        return !parts_.empty() && parts_.front()->segment->forwarded() < parts_.front()->segment->size()
                   ? parts_.front()
                   : nullptr;
    }
    [[nodiscard]] bool is_written_to(const part& one) const noexcept {
        return is_open_ && parts_.back().get() == &one;
    }
    // Without the one that is written to.
    [[nodiscard]] part_pointer oldest_full() const noexcept {
        return parts_.size() > (is_open_ ? 1U : 0U) ? parts_.front() : nullptr;
    }

    // All of it has been forwarded, or is given up: it takes no more room, unless it is to be kept. A part of our own
    // is the oldest one.
    bool finish(const part_pointer& done) {
        const std::uint64_t size = done->segment->size();
        if (done->is_own) bytes_ -= size;
        if (is_written_to(*done) && !done->is_kept && done->segment->clear()) return true;
        if (is_written_to(*done)) is_open_ = false;
        if (done->is_own) parts_.pop_front();
        if (take_away(*done)) return true;
        fail(done->segment->path());
        unfinished_.push_back(done);
        return false;
    }

    // Where a trace goes that the receiver refuses; in a segment of its own kind.
    bool put_aside(std::string_view content) {
        if (!rejected_) rejected_ = spool_segment<Files>::create(folder_, segment_name::rejected);
        if (!rejected_) return fail(folder_), false;
        record_.clear();
        return spool_format::append_record_of(record_, rejected_->marker(),
                                              [&] { return record_.append(content); }) &&
               (rejected_->append(record_.view()) || (fail(rejected_->path()), false));
    }

    // What could not be removed before.
    void finish_again() {
        std::erase_if(unfinished_, [](const part_pointer& one) { return take_away(*one); });
    }

    // Before the end: a file without a record is of no use to anybody.
    void close() {
        if (is_open_ && parts_.back()->segment->size() == 0) parts_.back()->segment->remove();
        is_open_ = false;
    }

    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] const std::string& folder() const noexcept { return folder_; }
    [[nodiscard]] const std::string& error() const noexcept { return error_; }
    [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }

    // Of a call to the system, by errno.
    void fail(const std::string& path) {
        const int reason = errno;
        ++failures_;
        error_ = path + ": " + std::strerror(reason);
        if (reason == ENOSPC || reason == EDQUOT) error_ += "; make room, or give the spool another folder";
        if (reason == EACCES || reason == EPERM || reason == EROFS)
            error_ += "; give the spool a folder that is this user's alone (mode 0700)";
    }

private:
    static bool take_away(const part& done) { return done.is_kept ? done.segment->reject() : done.segment->remove(); }

    std::string folder_;
    std::uint64_t segment_bytes_;
    std::deque<part_pointer> parts_;
    std::vector<part_pointer> unfinished_; // held locked, so that nobody forwards them again
    std::unique_ptr<spool_segment<Files>> rejected_;
    buffer record_;
    std::uint64_t bytes_ = 0;
    std::uint64_t failures_ = 0;
    std::string error_;
    bool is_open_ = false;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
