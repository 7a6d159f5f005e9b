// SPDX-License-Identifier: Apache-2.0
#pragma once

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

// What goes to the receiver together; it stays in memory until all of it is done with.
struct spool_load {
    trace_batch traces{};
    std::uint64_t until = 0; // in the segment
    spool_damage damage{};
    std::size_t rounds = 0;
    std::size_t asked_for = 0; // traces behind it, to see whether the receiver takes those
    bool has_foreign = false;
};

// A segment on its way to the receiver.
template <class Files>
struct spool_part {
    std::unique_ptr<spool_segment<Files>> segment;
    std::optional<spool_load> load{};
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
    std::string fault; // why it is not looked into: what lies there may be somebody else's
    std::uint64_t bytes = 0;
    std::unique_ptr<spool_segment<Files>> orphan; // the oldest one whose process is gone, now ours
};

// Or of this machine: it says nothing about the file.
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
    if (!(seen.fault = folder_fault(folder)).empty()) return seen;
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

// The segments that this process writes, oldest first; the last one is written to. Functions that fail leave the
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

    // Where the trace has been written; null when it could not be.
    part_pointer write(const trace_data& trace) {
        part_pointer to = writable();
        if (!to) return nullptr;
        record_.clear_to(kept_request);
        if (!spool_format::append_record(record_, to->segment->marker(), trace))
            return say("out of memory, or a span of over 256 MiB"), nullptr;
        if (!make_room(record_.size()))
            return say("holds max_bytes, " + std::to_string(max_bytes_) +
                       "; see why its traces are not taken, or give it more"),
                   nullptr;
        if (!to->segment->append(record_.view())) return fail(to->segment->path()), nullptr;
        to->spans += trace.span_count;
        to->appended += record_.size();
        bytes_ += record_.size();
        record_.clear_to(kept_request);
        return to;
    }

    // The oldest that has something to forward, or null.
    [[nodiscard]] part_pointer front() const noexcept {
        return !parts_.empty() && parts_.front()->segment->forwarded() < parts_.front()->segment->size()
                   ? parts_.front()
                   : nullptr;
    }

    // The one after it, or null.
    [[nodiscard]] part_pointer second() const noexcept { return parts_.size() > 1 ? parts_[1] : nullptr; }

    // All of it has been forwarded, or is given up: it takes no more room, unless it is to be kept. A part of our own
    // is the oldest one.
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
    // What could not be taken away before.
    void finish_again() {
        std::erase_if(unfinished_, [](const part_pointer& one) { return take_away(*one); });
    }

    // Where a trace goes that the receiver refuses: into a segment of its own kind.
    bool put_aside(const trace_data& trace) {
        if (rejected_ && !rejected_->is_there()) rejected_.reset();
        if (!rejected_ && !(rejected_ = create(segment_name::rejected))) return false;
        record_.clear_to(kept_request);
        if (!spool_format::append_record(record_, rejected_->marker(), trace)) return say("out of memory"), false;
        if (!rejected_->append(record_.view()) || (is_for_power_loss_ && !rejected_->sync()))
            return fail(rejected_->path()), false;
        return true;
    }

    // Before the end: a file without a record is of no use to anybody.
    void close() {
        if (is_open_ && parts_.back()->segment->size() == 0) parts_.back()->segment->remove();
        is_open_ = false;
    }

    void set_bytes_in_folder(std::uint64_t all) noexcept { others_bytes_ = all - std::min(all, bytes_); }
    [[nodiscard]] std::uint64_t bytes_in_folder() const noexcept { return bytes_ + others_bytes_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    // Given up to make room: spans of our own, and of processes that are gone.
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }
    [[nodiscard]] std::uint64_t dropped_of_others() const noexcept { return dropped_of_others_; }
    [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }
    [[nodiscard]] const std::string& error() const noexcept { return error_; }

    // Of a call to the system, by errno.
    void fail(const std::string& path) {
        const int reason = errno;
        ++failures_;
        error_ = spool_fault(path, reason);
    }

private:
    static bool take_away(const part& done) { return done.is_kept ? done.segment->reject() : done.segment->remove(); }

    void say(const std::string& what) { error_ = folder_ + ": " + what; }

    part_pointer writable() {
        if (is_open_ && parts_.back()->segment->size() < segment_bytes_ && parts_.back()->segment->is_there())
            return parts_.back();
        // One that is gone, and from which all had been forwarded, would stand in the way of the next.
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
        if (auto fault = make_folder(folder_); !fault.empty()) {
            ++failures_;
            error_ = std::move(fault);
            return nullptr;
        }
        auto created = spool_segment<Files>::create(folder_, kind);
        if (!created || (is_for_power_loss_ && !sync_folder())) return fail(folder_), nullptr;
        return created;
    }
    // So that the name of a new file is on the disk too.
    [[nodiscard]] bool sync_folder() const {
        const std::string itself = folder_ + "/."; // where the folder is a symbolic link
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
        if (seen.fault.empty()) set_bytes_in_folder(seen.bytes - (is_dropped ? seen.orphan->size() : 0));
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
    bool is_open_ = false; // the last part is written to
    std::deque<part_pointer> parts_;
    std::vector<part_pointer> unfinished_; // held locked, so that nobody forwards them again
    std::unique_ptr<spool_segment<Files>> rejected_;
    buffer record_;
    std::uint64_t bytes_ = 0;
    std::uint64_t others_bytes_ = 0;
    std::uint64_t dropped_ = 0;
    std::uint64_t dropped_of_others_ = 0;
    std::uint64_t failures_ = 0;
    std::string error_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
