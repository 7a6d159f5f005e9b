// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/span_kinds.hpp>
#include <mlflow/trace/core/value_rules.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/memory/pool.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

struct context_slot;

namespace detail {
struct open_trace;
class span_watch;
using slot_function = context_slot* (*)();    // of a context policy: the slot of whoever calls it
using holds_function = bool (*)(const void*); // and whether an object at this address can be current there

// Where objects lie that go together.
class packed_block {
public:
    void retain() noexcept { objects_.fetch_add(1, memory_order_relaxed); }
    void release() noexcept {
        if (objects_.fetch_sub(1, memory_order_acq_rel) == 1) machine::release(this);
    }

private:
    alignas(std::max_align_t) atomic<std::size_t> objects_{1}; // and who packs
};
} // namespace detail

/// A span: while it is open its recorder writes it, once finished an exporter reads it.
///
/// `body` is the content of an OTLP `Span` message in protobuf, without the identity of the user and session: that
/// belongs to the trace, and each exporter adds it to the root span in the way that its receiver understands.
struct span_data {
    span_data* next = nullptr;       ///< the next span of the same `trace_data`
    span_data* next_chain = nullptr; // of the pool
    std::size_t chain_bytes = 0;     // of the pool

    detail::recording_buffer body;
    span_id id;
    bool is_root = false;    ///< the first span of the trace in this process
    bool has_parent = false; ///< also true for a root whose parent is in another process
    /// Some attribute is a string that could be read as a JSON text, or a JSON text made of values that are not the
    /// library's own. MLflow takes the first for JSON and cannot read some of the second, so its exporter looks
    /// closer.
    bool needs_rewrite = false;
    bool lost_something = false; ///< an attribute or event is missing: no memory, or its value could not be made
    status code = status::unset;
    log_level level = log_level::debug;
    bool has_own_level = false;

    // While the span is open.
    detail::open_trace* trace = nullptr;
    detail::slot_function slot = nullptr;
    detail::span_watch* watched = nullptr; // by who runs code of the application, which may end the span
    std::uint32_t process = 0;
    detail::atomic<std::uint32_t> generation{
        0}; // odd while open; a context that saw another number looks at a stranger
    std::uint32_t chunks = 0;
    std::uint32_t attributes = 0; // counted where there is a limit
    std::uint32_t events = 0;
    std::uint32_t dropped_attributes = 0;
    std::uint32_t dropped_events = 0;
    std::uint8_t small_uses = 0;           // of a large block, one after the other
    detail::packed_block* block = nullptr; // of a copy that was never in the pool

    // A context may look at `generation` long after the span has ended.
    static constexpr bool is_looked_at = true;
    static constexpr bool has_blocks = true;

    bool recycle() noexcept {
        if (block) return false;
        if (body.capacity() > detail::machine::small_block) [[unlikely]]
            settle();
        body.clear();
        return true;
    }
    void leave() noexcept { block->release(); }
    [[nodiscard]] std::size_t kept_bytes() const noexcept { return sizeof(span_data) + body.capacity(); }
    void strip() noexcept { body.release(); }

private:
    // Keeps a large block only where many of its spans are large.
    __attribute__((noinline)) void settle() noexcept {
        constexpr std::uint8_t most_small_uses = 16;
        const bool is_used = body.size() >= body.capacity() / 8;
        small_uses = is_used ? std::uint8_t{0} : static_cast<std::uint8_t>(small_uses + 1);
        if (body.capacity() <= detail::machine::kept_block && small_uses < most_small_uses) return;
        body.release();
        small_uses = 0;
    }
};

namespace detail {

// The span opens, or ends. Its owner alone does that.
inline void next_generation(span_data& span) noexcept {
    span.generation.store(span.generation.load(memory_order_relaxed) + 1, memory_order_release);
}

} // namespace detail

/// One piece of information about a trace as a whole.
enum class entry_kind : std::uint8_t {
    metadata,
    tag,
    client_request_id,
    request_preview,  ///< without a key
    response_preview, ///< without a key
    absent,           ///< a metadata key that the trace is said not to have; without a value
    tracestate        ///< what other tracing systems say of a trace that came from elsewhere; without a key
};

struct trace_entry {
    entry_kind kind;
    std::string_view key;
    std::string_view value;
};

/// The entries of a trace, in the order in which they were set. A tag that was set again stands there once, with its
/// last value.
class trace_entries {
public:
    class iterator {
    public:
        explicit iterator(const char* at) noexcept : at_(at) {}
        trace_entry operator*() const noexcept {
            return {
                static_cast<entry_kind>(at_[0]), {at_ + header, length(1)}, {at_ + header + length(1), length(3)}};
        }
        iterator& operator++() noexcept {
            at_ += header + length(1) + length(3);
            return *this;
        }
        friend bool operator==(const iterator&, const iterator&) noexcept = default;

    private:
        friend class trace_entries;
        [[nodiscard]] std::size_t length(std::size_t at) const noexcept {
            return static_cast<std::size_t>(static_cast<unsigned char>(at_[at])) |
                   static_cast<std::size_t>(static_cast<unsigned char>(at_[at + 1])) << 8U;
        }
        static constexpr std::size_t header = 5; // kind, two bytes of key length, two bytes of value length
        const char* at_;
    };

    [[nodiscard]] iterator begin() const noexcept { return iterator(bytes_.data()); }
    [[nodiscard]] iterator end() const noexcept { return iterator(bytes_.data() + bytes_.size()); }

    /// The value of that key, or a view whose `data()` is null.
    [[nodiscard]] std::string_view find(entry_kind kind, std::string_view key) const noexcept {
        const auto at = locate(kind, key);
        return at == end() ? std::string_view{} : (*at).value;
    }

    static constexpr std::size_t longest = 0xffff; ///< key or value, in bytes

    /// Adds an entry or replaces the one of that kind and key. Keys and values of up to 65,535 bytes.
    bool set(entry_kind kind, std::string_view key, std::string_view value) noexcept {
        if (key.size() > longest || value.size() > longest) return false;
        const std::size_t size = iterator::header + key.size() + value.size();
        char* to = bytes_.ensure(size); // before the old entry goes: a set that fails must not lose it
        if (!to) return false;
        if (const auto old = locate(kind, key); old != end()) {
            auto next = old;
            ++next;
            const auto removed = static_cast<std::size_t>(next.at_ - old.at_);
            char* const from = bytes_.data() + (old.at_ - bytes_.data());
            std::memmove(from, next.at_, static_cast<std::size_t>(end().at_ - next.at_));
            bytes_.truncate(bytes_.size() - removed);
            to = bytes_.data() + bytes_.size();
        }
        *to++ = static_cast<char>(kind);
        for (const std::size_t length : {key.size(), value.size()}) {
            *to++ = static_cast<char>(length & 255U);
            *to++ = static_cast<char>(length >> 8U);
        }
        for (const std::string_view text : {key, value}) {
            if (!text.empty()) std::memcpy(to, text.data(), text.size());
            to += text.size();
        }
        bytes_.commit(size);
        return true;
    }

    [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
    /// Of the encoded entries, and of the block that they are in.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.size(); }
    [[nodiscard]] std::size_t capacity() const noexcept { return bytes_.capacity(); }
    void clear() noexcept { bytes_.clear(); }
    void release() noexcept { bytes_.release(); }

    // A copy of the others at a place of this size, which is only read.
    void refer_to(const trace_entries& others, void* place) noexcept { bytes_.refer_to(others.bytes_.view(), place); }

private:
    [[nodiscard]] iterator locate(entry_kind kind, std::string_view key) const noexcept {
        auto at = begin();
        for (; at != end(); ++at)
            if (const auto entry = *at; entry.kind == kind && entry.key == key) break;
        return at;
    }

    detail::buffer bytes_;
};

/// What is exported at once of a trace: all spans that had finished when its root ended. A span that ends after its
/// root comes in a `trace_data` of its own, with the same `id` and `root` null.
struct trace_data {
    trace_data* next = nullptr;       ///< the next trace of the same batch
    trace_data* next_chain = nullptr; // of the pool
    std::size_t chain_bytes = 0;      // of the pool

    trace_id id;
    span_data* spans = nullptr;      ///< linked by `span_data::next`, parents before children of the same thread
    const span_data* root = nullptr; ///< the one of `spans` that is the root; null for spans that ended after it
    trace_entries entries;           ///< user and session alone where `root` is null
    std::uint64_t start_unix_nano = 0;
    std::uint64_t duration_nano = 0;
    std::size_t span_count = 0;
    std::size_t bytes = 0;                 ///< of all span bodies
    std::size_t capacity = 0;              ///< of the blocks that they are in
    detail::packed_block* block = nullptr; // as in `span_data`
    bool check_identity = false;  ///< nobody has said yet that required metadata is given, or absent on purpose
    bool is_session_late = false; ///< the sampler keeps sessions whole, and was asked before this one was known

    [[nodiscard]] std::string_view metadata(std::string_view key) const noexcept {
        return entries.find(entry_kind::metadata, key);
    }

    /// The memory that it takes, with its spans and what the allocator adds.
    [[nodiscard]] std::size_t memory() const noexcept { return memory_for(span_count, capacity, entries.capacity()); }
    [[nodiscard]] static constexpr std::size_t memory_for(std::size_t span_count, std::size_t bodies,
                                                          std::size_t entries) noexcept {
        constexpr std::size_t blocks = 2 * detail::machine::block_cost; // the object and its content
        return sizeof(trace_data) + blocks + entries + span_count * (sizeof(span_data) + blocks) + bodies;
    }

    static constexpr bool is_looked_at = false;
    static constexpr bool has_blocks = true;

    bool recycle() noexcept {
        detail::pool<span_data>::instance().give(std::exchange(spans, nullptr));
        if (block) return false;
        root = nullptr;
        if (entries.capacity() > detail::machine::kept_block) entries.release();
        entries.clear();
        span_count = bytes = capacity = 0;
        is_session_late = false;
        return true;
    }
    void leave() noexcept { block->release(); }
    [[nodiscard]] std::size_t kept_bytes() const noexcept { return sizeof(trace_data) + entries.capacity(); }
    void strip() noexcept { entries.release(); }
};

/// Does the trace go on here from another process, which describes it?
[[nodiscard]] inline bool is_continued(const trace_data& trace) noexcept {
    return trace.root && trace.root->has_parent;
}

/// Finished traces on their way to an exporter. Owns them: what an exporter leaves in the batch is recycled
/// afterwards, and one that wants to keep traces moves them out. Thread-safety: as a container.
class trace_batch {
public:
    class iterator {
    public:
        explicit iterator(const trace_data* at) noexcept : at_(at) {}
        const trace_data& operator*() const noexcept { return *at_; }
        const trace_data* operator->() const noexcept { return at_; }
        iterator& operator++() noexcept {
            at_ = at_->next;
            return *this;
        }
        friend bool operator==(const iterator&, const iterator&) noexcept = default;

    private:
        const trace_data* at_;
    };

    trace_batch() noexcept = default;
    explicit trace_batch(trace_data* single) noexcept { push_back(single); }
    trace_batch(trace_batch&& other) noexcept { append(std::move(other)); }
    trace_batch& operator=(trace_batch&& other) noexcept {
        if (this != &other) {
            clear();
            append(std::move(other));
        }
        return *this;
    }
    ~trace_batch() { clear(); }

    [[nodiscard]] iterator begin() const noexcept { return iterator(first_); }
    [[nodiscard]] iterator end() const noexcept { return iterator(nullptr); }
    [[nodiscard]] bool empty() const noexcept { return !first_; }
    /// How many `trace_data` there are.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t span_count() const noexcept { return span_count_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// As `trace_data::memory`.
    [[nodiscard]] std::size_t memory() const noexcept { return memory_; }

    void push_back(trace_data* owned) noexcept {
        owned->next = nullptr;
        (last_ ? last_->next : first_) = owned;
        last_ = owned;
        ++size_;
        span_count_ += owned->span_count;
        bytes_ += owned->bytes;
        memory_ += owned->memory();
    }
    /// The first trace, now the caller's, or null.
    [[nodiscard]] trace_data* pop_front() noexcept {
        trace_data* const first = first_;
        if (!first) return nullptr;
        first_ = std::exchange(first->next, nullptr);
        if (!first_) last_ = nullptr;
        --size_;
        span_count_ -= first->span_count;
        bytes_ -= first->bytes;
        memory_ -= first->memory();
        return first;
    }
    /// Moves all traces of the other batch behind the own ones.
    void append(trace_batch&& other) noexcept {
        if (!other.first_) return;
        (last_ ? last_->next : first_) = other.first_;
        last_ = other.last_;
        size_ += other.size_;
        span_count_ += other.span_count_;
        bytes_ += other.bytes_;
        memory_ += other.memory_;
        other.forget();
    }
    void clear() noexcept {
        detail::pool<trace_data>::instance().give(first_);
        forget();
    }

private:
    void forget() noexcept {
        first_ = last_ = nullptr;
        size_ = span_count_ = bytes_ = memory_ = 0;
    }

    trace_data* first_ = nullptr;
    trace_data* last_ = nullptr;
    std::size_t size_ = 0;
    std::size_t span_count_ = 0;
    std::size_t bytes_ = 0;
    std::size_t memory_ = 0;
};

namespace detail {

// Of what waits for delivery.
template <class Function>
void for_each_pool(Function&& function) noexcept {
    function(pool<span_data>::instance());
    function(pool<trace_data>::instance());
}

// What the pools keep goes with whoever needed it. On a freestanding target they keep it.
struct pools_at_the_end {
#if MLFLOW_TRACE_HOSTED
    pools_at_the_end() = default;
    pools_at_the_end(const pools_at_the_end&) = delete;
    pools_at_the_end& operator=(const pools_at_the_end&) = delete;
    ~pools_at_the_end() {
        for_each_pool([](auto& each) { each.shrink_to(0); });
    }
#endif
};

} // namespace detail

/// How an export went. Spans are what is counted, because a trace may arrive in parts.
struct export_result {
    std::size_t exported_spans = 0;
    std::size_t failed_spans = 0;
    owned_text error{}; ///< one line on why spans failed, without credentials; empty when none did
    /// The same batch may be exported once more, with a chance to succeed: the receiver was not there, or is busy.
    bool retryable = false;
    /// What the receiver asks to wait before that; 0 when it did not say.
    std::chrono::milliseconds retry_after{0};
    /// The receiver does, or together with `retryable` may, find fault with what was sent: one trace can be the
    /// reason that all were refused.
    bool content_rejected = false;
    /// The receiver did not answer in time, or there was no memory for the request: less at once may arrive.
    bool too_slow = false;
    /// The receiver has taken the batch and says that it rejects spans of it, or the exporter does not count what it
    /// is given: nothing of it is sent again.
    bool is_final = false;

    [[nodiscard]] bool ok() const noexcept { return failed_spans == 0; }
};

/// Where the spans are that a tracer has started. At any moment
/// `started == exported + failed + dropped + queued + open`.
struct span_account {
    std::uint64_t started = 0;
    std::uint64_t exported = 0; ///< the exporter says that they arrived
    std::uint64_t failed = 0;   ///< the exporter could not deliver them
    std::uint64_t dropped = 0;  ///< given up before an exporter saw them: queue full, after shutdown, out of memory
    std::uint64_t queued = 0;   ///< finished, waiting for the exporter
    std::uint64_t open = 0;     ///< not finished, or part of a trace that is still open
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
