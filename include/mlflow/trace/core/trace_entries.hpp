// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/entry_index.hpp>
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/memory/machine.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The kind of a trace entry.
enum class entry_kind : std::uint8_t {
    metadata,          ///< a metadata key and its value
    tag,               ///< a tag
    client_request_id, ///< the application's ID of the request
    request_preview,   ///< has no key
    response_preview,  ///< has no key
    absent,            ///< a metadata key that the trace was declared not to have; has no value
    tracestate         ///< the header `tracestate` of a continued trace; has no key
};

/// One entry that describes a trace as a whole. The texts are views.
struct trace_entry {
    entry_kind kind;        ///< what the entry is
    std::string_view key;   ///< the name; empty for kinds without a key
    std::string_view value; ///< the value
};

/// The entries of a trace, in the order in which they were set. A tag that was set again occurs once, with its last
/// value.
class trace_entries {
public:
    /// A forward iterator over the entries.
    class iterator {
    public:
        /// Made by the container.
        explicit iterator(const char* at) noexcept : at_(at) {}
        /// The entry.
        trace_entry operator*() const noexcept {
            return {
                static_cast<entry_kind>(at_[0]), {at_ + header, length(1)}, {at_ + header + length(1), length(3)}};
        }
        /// Goes to the next entry.
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

    /// The first entry.
    [[nodiscard]] iterator begin() const noexcept { return iterator(bytes_.data()); }
    /// The end of the entries.
    [[nodiscard]] iterator end() const noexcept { return iterator(bytes_.data() + bytes_.size()); }

    /// The value of this kind and key, or a view whose `data()` is null.
    [[nodiscard]] std::string_view find(entry_kind kind, std::string_view key) const noexcept {
        const auto at = locate(kind, key);
        return at == end() ? std::string_view{} : (*at).value;
    }

    static constexpr std::size_t longest = 0xffff; ///< size limit of a key or a value in bytes

    /// Adds an entry, or replaces the entry of the same kind and key. Returns false, and changes nothing, when the
    /// key or value is longer than `longest` or memory runs out.
    bool set(entry_kind kind, std::string_view key, std::string_view value) noexcept {
        if (key.size() > longest || value.size() > longest) return false;
        const std::size_t size = iterator::header + key.size() + value.size();
        if (!bytes_.ensure(size)) return false; // first, so that the old entry is kept when this fails
        const auto old = locate(kind, key);
        const bool is_new = old == end();
        if (!is_new) remove(old);
        const std::size_t position = bytes_.size();
        char* to = bytes_.data() + position;
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
        if (is_new) count(position);
        return true;
    }

    /// Whether there is no entry.
    [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
    /// The size of the encoded entries in bytes.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.size(); }
    /// The size of the blocks that hold them in bytes.
    [[nodiscard]] std::size_t capacity() const noexcept { return bytes_.capacity() + index_.capacity(); }
    /// Removes all entries and keeps the memory.
    void clear() noexcept {
        bytes_.clear();
        index_.clear();
    }
    /// Removes all entries and frees the memory.
    void release() noexcept {
        bytes_.release();
        index_.release();
    }

    /// Makes this a copy of `others`, stored at `place`, which has room for `others.bytes()`.
    void refer_to(const trace_entries& others, void* place) noexcept {
        bytes_.refer_to(others.bytes_.view(), place);
        index_.count_copied(others.index_.entries());
    }

private:
    using index = std::conditional_t<detail::machine::has_heap, detail::entry_index, detail::no_entry_index>;

    [[nodiscard]] iterator locate(entry_kind kind, std::string_view key) const noexcept {
        if (index_.has_table()) [[unlikely]]
            return look_up(kind, key);
        auto at = begin();
        for (; at != end(); ++at)
            if (const auto entry = *at; entry.kind == kind && entry.key == key) break;
        return at;
    }
    [[nodiscard]] iterator look_up(entry_kind kind, std::string_view key) const noexcept {
        const std::size_t found = index_.find(index_.hash_of(static_cast<unsigned>(kind), key), [&](std::size_t at) {
            const auto entry = *iterator(bytes_.data() + at);
            return entry.kind == kind && entry.key == key;
        });
        return found == index::none ? end() : iterator(bytes_.data() + found);
    }

    void remove(iterator old) noexcept {
        auto next = old;
        ++next;
        const auto position = static_cast<std::size_t>(old.at_ - bytes_.data());
        const auto removed = static_cast<std::size_t>(next.at_ - old.at_);
        std::memmove(bytes_.data() + position, next.at_, static_cast<std::size_t>(end().at_ - next.at_));
        bytes_.truncate(bytes_.size() - removed);
        if (index_.has_table()) index_.move(position, removed, bytes_.size());
    }

    // Counts the new entry at this position.
    void count(std::size_t position) noexcept {
        const bool is_made = index_.count() && index_.make();
        if (!is_made && !index_.has_table()) return;
        for (auto at = iterator(bytes_.data() + (is_made ? 0 : position)); at != end(); ++at)
            index_.add(index_.hash_of(static_cast<unsigned>((*at).kind), (*at).key),
                       static_cast<std::size_t>(at.at_ - bytes_.data()));
    }

    detail::buffer bytes_;
    [[no_unique_address]] index index_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
