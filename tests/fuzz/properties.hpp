// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/text/displayed.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

// What the fuzz targets share: how they take their input apart, and the properties that many of them check.
namespace fuzz {

inline void require(bool condition) {
    if (!condition) std::abort();
}

// What a person may be shown: one line of valid UTF-8 that hides nothing.
inline void require_clean(std::string_view text) { require(mlflow::trace::detail::displayed(text) == text); }

// The bytes of one run: numbers of one byte, and texts that end at 0xFE, which UTF-8 never holds.
class input {
public:
    input(const std::uint8_t* data, std::size_t size) noexcept : rest_(reinterpret_cast<const char*>(data), size) {}

    [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }
    [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

    unsigned take_byte() noexcept {
        if (rest_.empty()) return 0;
        const auto byte = static_cast<unsigned char>(rest_.front());
        rest_.remove_prefix(1);
        return byte;
    }
    std::string_view take_text() noexcept {
        const auto end = rest_.find('\xfe');
        const auto text = rest_.substr(0, end);
        rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
        return text;
    }

private:
    std::string_view rest_;
};

} // namespace fuzz
