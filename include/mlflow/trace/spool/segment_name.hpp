// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/text/hex.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <dirent.h>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The name of a segment: `<unix nanoseconds>-<marker>.spool` or `.rejected`, both numbers in 16 hexadecimal digits.
struct segment_name {
    static constexpr std::string_view waiting = ".spool";
    static constexpr std::string_view rejected = ".rejected"; // quarantined spans

    std::uint64_t created_nano = 0;
    std::uint64_t marker = 0;
    std::string_view kind = waiting;

    [[nodiscard]] std::string text() const {
        char digits[33];
        write_hex(digits, created_nano);
        digits[16] = '-';
        write_hex(digits + 17, marker);
        return std::string(digits, sizeof digits) + std::string(kind);
    }
    [[nodiscard]] static std::optional<segment_name> parse(std::string_view text) noexcept {
        segment_name parsed;
        if (text.ends_with(rejected)) parsed.kind = rejected;
        if (text.size() != 33 + parsed.kind.size() || !text.ends_with(parsed.kind) || text[16] != '-')
            return std::nullopt;
        for (std::size_t i = 0; i < 33; ++i) {
            const int digit = hex_digit_value(text[i]);
            if (i == 16) continue;
            if (digit < 0) return std::nullopt;
            auto& number = i < 16 ? parsed.created_nano : parsed.marker;
            number = number << 4U | static_cast<unsigned>(digit);
        }
        return parsed;
    }
};

// The names of all segments in a directory, oldest first. Empty if it cannot be read; errno has the reason.
inline std::vector<std::string> segments_in(const std::string& folder) {
    struct closer {
        void operator()(DIR* open) const noexcept { ::closedir(open); }
    };
    std::vector<std::string> names;
    errno = 0;
    const std::unique_ptr<DIR, closer> listing(::opendir(folder.c_str()));
    if (!listing) return names;
    while (const dirent* const entry = ::readdir(listing.get()))
        if (segment_name::parse(entry->d_name)) names.emplace_back(entry->d_name);
    std::sort(names.begin(), names.end());
    return names;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
