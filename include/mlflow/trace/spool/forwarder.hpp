// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/export_progress.hpp>
#include <mlflow/trace/detail/backoff.hpp>
#include <mlflow/trace/detail/deadline.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/pipeline/fault_finder.hpp>
#include <mlflow/trace/pipeline/flushes.hpp>
#include <mlflow/trace/pipeline/latest_error.hpp>
#include <mlflow/trace/spool/store.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Describes what a spool still holds: spans of its own process, and bytes left by another one.
inline std::string waiting_text(std::uint64_t spans, std::uint64_t bytes, const std::string& why) {
    std::string text = spans != 0 || bytes == 0 ? std::to_string(spans) + " spans" : std::string();
    if (bytes != 0) text += (text.empty() ? "" : " and ") + std::to_string(bytes) + " bytes left by another process";
    return text + " are waiting in the folder: " + why;
}

// The state shared by the threads of a spool, and the work of its forwarding thread: sends the traces of this
// process, and those that ended processes have left in the directory.
template <class Exporter, class Files>
class spool_forwarder {
protected:
    using clock = std::chrono::steady_clock;
    using store_type = spool_store<Files>;
    using part = typename store_type::part;
    using part_pointer = typename store_type::part_pointer;
    using lock_type = std::unique_lock<std::mutex>;

    spool_forwarder(spool_options<Exporter>&& chosen, const span_account& counted)
        : options_(std::move(chosen)), exporter_(std::move(options_.exporter)), store_(options_), account_(counted) {}
    ~spool_forwarder() = default;

    void work() {
        lock_type guard(lock_);
        const auto out_of_memory = [&] {
            if (!guard.owns_lock()) guard.lock();
            is_looking_ = false;
            error_.wrong(error(error_kind::out_of_memory));
            pause(guard, own_waits_.next({}), {});
        };
        while (!ending_) guarded([&] { step(guard); }, out_of_memory);
    }

    [[nodiscard]] std::uint64_t handled() const noexcept { return handled_ + store_.dropped(); }
    [[nodiscard]] bool enough() const noexcept {
        return store_.bytes() >= options_.max_batch_bytes || accepted_ - handled() >= options_.max_batch_spans;
    }

    void tell_what_waits(lock_type& guard) {
        guard.unlock();
        line_.say([this] {
            const std::lock_guard reading(lock_);
            return what_waits().message();
        });
        guard.lock();
    }
    [[nodiscard]] error what_waits(std::string_view when = {}) const {
        const error& latest = latest_error_now();
        const std::string why =
            waiting_reason(progress_of(exporter_).waits_for, latest, "the receiver has not responded yet");
        return gave_up(latest, "spool: " + std::string(when) +
                                   waiting_text(accepted_ - handled(), orphan_ ? orphan_->segment->left() : 0, why));
    }
    [[nodiscard]] const error& latest_error_now() const noexcept {
        return error_.is_wrong() || !folder_fault_ ? error_.get() : folder_fault_;
    }

    const std::uint32_t process_ = machine::process();
    spool_options<Exporter> options_;
    Exporter exporter_;
    std::mutex lock_;
    std::condition_variable wake_;    // the forwarding thread
    std::condition_variable changed_; // threads that wait for the forwarding thread, or for a sync
    store_type store_;
    fault_finder<Exporter> finder_{exporter_, options_.first_wait, options_.longest_wait};
    backoff own_waits_{options_.first_wait, options_.longest_wait}; // for errors of files and memory
    part_pointer orphan_;                                           // a segment of an ended process, being forwarded
    span_account account_;
    spool_status status_;
    latest_error error_;
    error folder_fault_; // at the latest look
    std::uint64_t accepted_ = 0;
    std::uint64_t handled_ = 0;
    flushes flushes_;
    std::uint64_t requests_ = 0;   // for an immediate attempt
    std::uint64_t pauses_ = 0;     // after failed attempts
    std::uint64_t recoveries_ = 0; // looks into the directory that found no segment left
    std::uint64_t failed_looks_ = 0;
    clock::time_point next_look_ = clock::now();
    diagnostic_line line_{options_.diagnostics};
    bool is_looking_ = false;
    bool ending_ = false;

private:
    void step(lock_type& guard) {
        if (!orphan_ && clock::now() >= next_look_) look_for_orphan(guard);
        const bool is_asked = flushes_.is_asked(handled());
        if (orphan_ && !(is_asked && store_.front())) return forward(guard, orphan_);
        if (store_.front()) {
            wake_.wait_until(guard, deadline_after(options_.delay),
                             [this] { return ending_ || flushes_.is_asked(handled()) || enough(); });
            if (const auto own = store_.front(); own && !ending_) forward(guard, own);
        } else {
            wake_.wait_until(guard, next_look_, [this, requests = requests_] {
                return ending_ || store_.front() || requests_ != requests;
            });
        }
    }

    void look_for_orphan(lock_type& guard) {
        store_.finish_again();
        next_look_ = clock::now() + std::chrono::seconds(1);
        is_looking_ = true;
        guard.unlock();
        auto seen = look_into<Files>(options_.folder);
        guard.lock();
        is_looking_ = false;
        folder_fault_ = std::move(seen.fault);
        if (!folder_fault_) store_.set_bytes_in_folder(seen.bytes);
        if (!seen.orphan) {
            ++(folder_fault_ ? failed_looks_ : recoveries_);
            changed_.notify_all();
            return;
        }
        next_look_ = {}; // there may be more
        orphan_ = part_of(std::move(seen.orphan));
    }
    static part_pointer part_of(std::unique_ptr<spool_segment<Files>> orphan) {
        if (!orphan) return nullptr;
        const auto made = std::make_shared<part>();
        made->segment = std::move(orphan);
        made->is_own = false;
        return made;
    }

    using load = spool_load;

    load next_load(spool_reader<Files>& reader) const {
        load next;
        const auto has_room = [&] { // true for the first trace
            return next.traces.empty() || (next.traces.span_count() < options_.max_batch_spans &&
                                           next.traces.bytes() < options_.max_batch_bytes);
        };
        for (bool is_over = false; !is_over && has_room();) {
            const std::string_view content = reader.next();
            is_over = !content.data();
            auto how = spool_format::reading::done;
            trace_data* const trace = is_over ? nullptr : spool_format::decode_record(content, how);
            if (how == spool_format::reading::out_of_memory) {
                if (next.traces.empty()) throw std::bad_alloc();
                break; // this trace is read again later
            }
            if (trace) next.traces.push_back(trace);
            next.has_foreign = next.has_foreign || how == spool_format::reading::foreign;
            next.until = reader.position();
            next.damage = reader.damage();
        }
        return next;
    }

    void forward(lock_type& guard, const part_pointer from) {
        if (!from->load) {
            auto reader = from->segment->reader();
            guard.unlock();
            load next = next_load(reader);
            guard.lock();
            if (from->is_gone) return;
            from->is_kept = from->is_kept || next.has_foreign;
            if (reader.failed() && next.traces.empty()) return could_not_read(guard, from);
            from->load = std::move(next);
        }
        load& sent = *from->load;
        finder_host host{*this, from};
        guard.unlock();
        auto round = finder_.deliver(std::move(sent.traces), ++sent.rounds, host);
        guard.lock();
        sent.traces = std::move(round.again);
        const bool is_rejected = round.failed > host.put_aside_spans; // by a receiver that accepted the rest
        if (!sent.traces.empty() && round.error) error_.wrong(round.error);
        if (sent.traces.empty() && round.exported + round.failed != 0) error_.mended();
        if (is_rejected) error_.lost(round.why_failed);
        if (from->is_gone) return;
        (from->is_own ? account_.exported : status_.recovered_spans) += round.exported;
        const std::size_t rejected = round.failed - host.put_aside_spans; // by a receiver that accepted the rest
        status_.rejected_spans += rejected;
        if (from->is_own) account_.failed += rejected;
        done_with(*from, round.exported + rejected);
        if (sent.traces.empty()) move_on(from);
        else pause(guard, finder_.next_wait(round), round.retry_after);
    }

    // The host of the `fault_finder`. It is called without the worker's lock.
    struct finder_host {
        spool_forwarder& worker;
        const part_pointer& from;
        std::size_t put_aside_spans = 0;

        bool is_ending() noexcept {
            const std::lock_guard guard(worker.lock_);
            return worker.ending_;
        }
        trace_data* another() noexcept {
            return guarded([&] { return worker.another_than(*from); }, []() -> trace_data* { return nullptr; });
        }
        void put_aside(trace_batch& batch, const error& why) noexcept {
            put_aside_spans += batch.span_count();
            worker.put_aside(batch, why, *from);
        }
    };

    // The traces behind the load in the same segment, one at each call, then a trace of another segment.
    trace_data* another_than(part& from) {
        lock_type guard(lock_);
        auto reader = from.segment->reader(from.load->until);
        const std::size_t passed_over = from.load->asked_for++;
        guard.unlock();
        std::string_view content = reader.next();
        for (std::size_t i = 0; i < passed_over && content.data(); ++i) content = reader.next();
        if (content.data()) return spool_format::decode_record(content);
        guard.lock();
        from.load->asked_for = 0;
        const part_pointer other = other_part_than(guard, from);
        if (!other) return nullptr;
        auto elsewhere = other->segment->reader();
        if (guard.owns_lock()) guard.unlock();
        content = elsewhere.next();
        return content.data() ? spool_format::decode_record(content) : nullptr;
    }
    part_pointer other_part_than(lock_type& guard, const part& from) {
        if (!from.is_own && store_.front()) return store_.front();
        if (from.is_own && store_.second()) return store_.second();
        if (from.is_own && orphan_) return orphan_;
        guard.unlock();
        return part_of(std::move(look_into<Files>(options_.folder).orphan));
    }

    void put_aside(trace_batch& batch, const error& why, part& from) noexcept {
        const auto keep = [&] {
            error news;
            for (const trace_data& trace : batch) {
                news = quarantined(trace.id, why);
                line_.say([&] { return "spool: " + news.message(); });
            }
            const std::lock_guard guard(lock_);
            error_.lost(news);
            for (const trace_data& trace : batch)
                if (!store_.put_aside(trace)) from.is_kept = true; // keep the segment instead: needs no room
        };
        const bool is_tried = guarded([&] { return keep(), true; }, [] { return false; });
        const std::lock_guard guard(lock_);
        from.is_kept = from.is_kept || !is_tried;
        if (from.is_gone) return;
        status_.rejected_spans += batch.span_count();
        if (from.is_own) account_.failed += batch.span_count();
        done_with(from, batch.span_count());
    }

    void done_with(part& from, std::size_t spans) noexcept {
        if (!from.is_own) return;
        const auto done = std::min<std::uint64_t>(spans, from.spans);
        handled_ += done;
        from.spans -= done;
        changed_.notify_all();
    }

    // Call when every trace of the load is done.
    void move_on(const part_pointer& from) {
        status_.damaged_places += from->load->damage.places;
        status_.damaged_bytes += from->load->damage.bytes;
        from->segment->set_forwarded(from->load->until);
        from->load.reset();
        own_waits_.reset();
        if (from->segment->forwarded() >= from->segment->size()) finish(from);
        changed_.notify_all();
    }

    void finish(const part_pointer& done) {
        account_.failed += done->spans; // spans lost by damage
        handled_ += std::exchange(done->spans, 0);
        store_.finish(done);
        if (done == orphan_) orphan_.reset();
    }

    void could_not_read(lock_type& guard, const part_pointer& from) {
        store_.fail(from->segment->path());
        constexpr int most_attempts = 5;
        const bool is_over = ++from->unreadable == most_attempts;
        (is_over ? error_.lost(store_.error()) : error_.wrong(store_.error()));
        if (!is_over) return pause(guard, own_waits_.next({}), {});
        error_.mended();
        from->is_kept = true;
        finish(from);
        changed_.notify_all();
    }

    // Waits until the next attempt. A caller of `flush` or `recover` ends the pause, unless the receiver asked for
    // it.
    void pause(lock_type& guard, std::chrono::milliseconds chosen, std::chrono::milliseconds asked) {
        ++pauses_;
        changed_.notify_all();
        const std::uint64_t requests = requests_;
        tell_what_waits(guard);
        wake_.wait_until(guard, deadline_after(chosen),
                         [&] { return ending_ || (asked.count() == 0 && requests_ != requests); });
    }
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
