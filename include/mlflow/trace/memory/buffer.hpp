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

// What a buffer for requests keeps: more than the default of `max_batch_bytes` asks for.
inline constexpr std::size_t kept_request = std::size_t{8} * 1024 * 1024;

// A growing run of bytes that never throws: when memory runs out, the write that did not fit is left out and
// `overflowed()` tells. Memory is kept by clear(), so that a pooled buffer stops allocating once warm.
class buffer {
public:
    buffer() noexcept = default;
    buffer(buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)), overflowed_(std::exchange(other.overflowed_, false)) {}
    buffer& operator=(buffer&& other) noexcept {
        swap(other);
        return *this;
    }
    ~buffer() {
        if (data_) machine::release(data_);
    }

    void swap(buffer& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        std::swap(overflowed_, other.overflowed_);
    }

    // The place where the next `count` bytes may be written, or nullptr. Follow it by commit().
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
        if (data_) machine::release(data_);
        data_ = nullptr;
        size_ = capacity_ = 0;
    }
    // Of what is used again and again: one that was huge once does not stay so.
    void clear_to(std::size_t kept) noexcept {
        if (capacity_ > kept) release();
        clear();
    }
    // A copy at a place that is not the buffer's own: it is only read, and not destroyed.
    void refer_to(std::string_view bytes, void* place) noexcept {
        if (!bytes.empty()) std::memcpy(place, bytes.data(), bytes.size());
        data_ = static_cast<char*>(place);
        size_ = capacity_ = bytes.size();
    }

    [[nodiscard]] char* data() noexcept { return data_; }
    [[nodiscard]] const char* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] bool overflowed() const noexcept { return overflowed_; }
    [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }

private:
    [[gnu::noinline, gnu::cold]] bool grow(std::size_t count) noexcept {
        std::size_t capacity = capacity_ < machine::first_block / 2 ? machine::first_block
                               : capacity_ < machine::small_block   ? capacity_ * 2
                                                                  : capacity_ + capacity_ / 4; // it may wait for long
        if (capacity - size_ < count) capacity = size_ + count;
        void* moved = machine::reallocate(data_, capacity);
        if (!moved) {
            overflowed_ = true;
            return false;
        }
        data_ = static_cast<char*>(moved);
        capacity_ = capacity;
        return true;
    }

    char* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
    bool overflowed_ = false;
};

// What was written, for those who cannot tell a part from the whole. Throws `std::bad_alloc` where something did not
// fit.
inline std::string_view whole(const buffer& written) {
    if (written.overflowed()) throw_bad_alloc();
    return written.view();
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
