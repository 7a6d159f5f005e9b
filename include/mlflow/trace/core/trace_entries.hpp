// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/memory/buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

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

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
