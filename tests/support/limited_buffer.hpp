// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace test {

// A buffer that never grows. Its memory ends where its capacity does, so that a sanitizer sees a write past it.
class limited_buffer {
public:
    explicit limited_buffer(std::size_t capacity) : data_(new char[capacity]), capacity_(capacity) {}

    [[nodiscard]] char* ensure(std::size_t count) noexcept {
        return capacity_ - size_ < count ? nullptr : data_.get() + size_;
    }
    void commit(std::size_t count) noexcept { size_ += count; }
    void truncate(std::size_t size) noexcept { size_ = size; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::string_view view() const noexcept { return {data_.get(), size_}; }

private:
    std::unique_ptr<char[]> data_;
    std::size_t capacity_;
    std::size_t size_ = 0;
};

// Calls `write(buffer)` for every capacity up to what the whole text needs. Returns the first capacity at which it
// succeeds, provided that it fails at all below and that what it writes there is the beginning of `whole`.
template <class Write>
std::size_t first_capacity_that_fits(std::string_view whole, Write write) {
    for (std::size_t capacity = 0;; ++capacity) {
        limited_buffer out(capacity);
        const bool written = write(out);
        if (!whole.starts_with(out.view())) return static_cast<std::size_t>(-1);
        if (written) return out.view() == whole ? capacity : static_cast<std::size_t>(-1);
        if (capacity > whole.size()) return static_cast<std::size_t>(-1);
    }
}

} // namespace test
