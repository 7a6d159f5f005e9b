// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace support {

// A copy at the end of an allocation of its own, so that AddressSanitizer finds a read beyond the text.
class text_at_the_end {
public:
    explicit text_at_the_end(std::string_view text) : size_(text.size()), bytes_(new char[text.size()]) {
        text.copy(bytes_.get(), size_);
    }
    [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }

private:
    std::size_t size_;
    std::unique_ptr<char[]> bytes_;
};

} // namespace support
