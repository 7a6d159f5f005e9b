// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/memory/machine.hpp>

#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The capacity that a request buffer keeps. It is larger than the default of `max_batch_bytes` needs.
inline constexpr std::size_t kept_request = std::size_t{8} * 1024 * 1024;

// A growing sequence of bytes that never throws. When memory runs out, the write that did not fit is omitted, and
// `overflowed()` returns true. `clear()` keeps the memory, so that a pooled buffer stops allocating once warm.
class buffer {
public:
    buffer() noexcept = default;
    buffer(buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)), overflowed_(std::exchange(other.overflowed_, false)),
          is_reference_(std::exchange(other.is_reference_, false)) {}
    buffer& operator=(buffer&& other) noexcept {
        swap(other);
        return *this;
    }
    ~buffer() { free(); }

    void swap(buffer& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        std::swap(overflowed_, other.overflowed_);
        std::swap(is_reference_, other.is_reference_);
    }

    // Returns the place for the next `count` bytes, or null. `commit` adds the bytes that were written.
    [[nodiscard]] char* ensure(std::size_t count) noexcept {
        if (capacity_ - size_ < count && !grow(count)) return nullptr;
        return data_ + size_;
    }
    void commit(std::size_t count) noexcept { size_ += count; }

    bool append(std::string_view bytes) noexcept {
        char* to = ensure(bytes.size());
        if (!to) return false;
        if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
        size_ += bytes.size();
        return true;
    }
    bool push_back(char byte) noexcept {
        char* to = ensure(1);
        if (!to) return false;
        *to = byte;
        ++size_;
        return true;
    }

    void truncate(std::size_t size) noexcept { size_ = size; }
    void clear() noexcept {
        size_ = 0;
        overflowed_ = false;
    }
    void release() noexcept {
        free();
        data_ = nullptr;
        size_ = capacity_ = 0;
        is_reference_ = false;
    }
    // Clears a buffer that is used repeatedly, and frees its memory if it has grown beyond `kept` bytes.
    void clear_to(std::size_t kept) noexcept {
        if (capacity_ > kept) release();
        clear();
    }
    // Makes this a copy at `place`, which the buffer does not own. A copy that grows moves to a block of its own.
    void refer_to(std::string_view bytes, void* place) noexcept {
        if (!bytes.empty()) std::memcpy(place, bytes.data(), bytes.size());
        data_ = static_cast<char*>(place);
        size_ = capacity_ = bytes.size();
        is_reference_ = true;
    }

    [[nodiscard]] char* data() noexcept { return data_; }
    [[nodiscard]] const char* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] bool overflowed() const noexcept { return overflowed_; }
    [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }

private:
    void free() noexcept {
        if (data_ && !is_reference_) machine::release(data_);
    }
    [[gnu::noinline, gnu::cold]] bool grow(std::size_t count) noexcept {
        std::size_t capacity = capacity_ < machine::first_block / 2 ? machine::first_block
                               : capacity_ < machine::small_block   ? capacity_ * 2
                                                                  : capacity_ + capacity_ / 4; // may be kept for long
        if (capacity - size_ < count) capacity = size_ + count;
        void* moved = machine::reallocate(is_reference_ ? nullptr : data_, capacity);
        if (!moved) {
            overflowed_ = true;
            return false;
        }
        if (std::exchange(is_reference_, false)) std::memcpy(moved, data_, size_);
        data_ = static_cast<char*>(moved);
        capacity_ = capacity;
        return true;
    }

    char* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
    bool overflowed_ = false;
    bool is_reference_ = false; // something else owns data_
};

// Returns the content, for readers that cannot detect a missing part. Throws `std::bad_alloc` if a write did not fit.
inline std::string_view whole(const buffer& written) {
    if (written.overflowed()) throw_bad_alloc();
    return written.view();
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
