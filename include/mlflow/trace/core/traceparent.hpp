// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/result.hpp>
#include <mlflow/trace/text/hex.hpp>
#include <mlflow/trace/text/outer_space.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A span of another process, as the header `traceparent` identifies it (W3C Trace Context, level 2,
/// https://www.w3.org/TR/trace-context-2/#traceparent-header).
///
/// When it is given to `start_trace`, the new trace links to that span, and samplers such as `parent_based` follow
/// its flag. The new trace has its own ID, because anyone can send any trace ID. To continue the trace of a trusted
/// sender, use `propagator`.
struct remote_span {
    mlflow::trace::trace_id trace_id; ///< the ID of the other process's trace
    span_id id;                       ///< the ID of the calling span
    bool is_sampled = false;          ///< whether the other process records the trace
    /// Whether the last 7 bytes of the trace ID are random, so that samplers may rely on them: the flag
    /// `random-trace-id` of level 2. A process that continues the trace passes the flag on automatically.
    bool has_random_id = false;

    /// The name of the header.
    static constexpr std::string_view header = "traceparent";

    /// Parses the header's value; surrounding whitespace is ignored. Errors: `empty`, and `malformed` for what the
    /// specification calls invalid: upper case, other lengths, zero IDs, version ff.
    static constexpr result<remote_span> parse(std::string_view value) noexcept {
        constexpr std::size_t size = 55; // 00-<32 digits>-<16 digits>-<2 digits>
        value = detail::without_outer_space(value);
        const auto invalid = failure{error{value.empty() ? error_kind::empty : error_kind::malformed, header}};
        if (value.size() < size || value[2] != '-' || value[35] != '-' || value[52] != '-') return invalid;
        std::uint64_t version = 0;
        std::uint64_t flags = 0;
        remote_span found;
        const bool is_hex = read(value, 0, 2, version) && read(value, 3, 16, found.trace_id.high) &&
                            read(value, 19, 16, found.trace_id.low) && read(value, 36, 16, found.id.value) &&
                            read(value, 53, 2, flags);
        if (!is_hex || version == 0xff || !found.trace_id.valid() || !found.id.valid()) return invalid;
        // Later versions may add fields at the end.
        if (value.size() > size && (version == 0 || value[size] != '-')) return invalid;
        found.is_sampled = (flags & 1U) != 0;
        found.has_random_id = (flags & 2U) != 0;
        return found;
    }

    /// The value of the header, to be sent to another process.
    [[nodiscard]] constexpr id_text<55> text() const noexcept {
        id_text<55> text{{'0', '0', '-'}};
        detail::write_hex(text.characters + 3, trace_id.high);
        detail::write_hex(text.characters + 19, trace_id.low);
        text.characters[35] = '-';
        detail::write_hex(text.characters + 36, id.value);
        text.characters[52] = '-';
        text.characters[53] = '0';
        text.characters[54] = static_cast<char>('0' + (is_sampled ? 1 : 0) + (has_random_id ? 2 : 0));
        return text;
    }

private:
    static constexpr bool read(std::string_view text, std::size_t at, std::size_t digits,
                               std::uint64_t& value) noexcept {
        for (std::size_t end = at + digits; at < end; ++at) {
            const int digit = text[at] >= 'A' && text[at] <= 'F' ? -1 : detail::hex_digit_value(text[at]);
            if (digit < 0) return false;
            value = value << 4U | static_cast<std::uint64_t>(digit);
        }
        return true;
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
