// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_start.hpp>
#include <mlflow/trace/declared.hpp>
#include <mlflow/trace/metadata/identity.hpp>
#include <mlflow/trace/recording/sampling.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// Spread evenly over 64 bits, and the same on every machine. The rounds and the end are those of xxHash64, by Yann
// Collet; a rest is read together with bytes before it, which is faster than byte by byte.
inline std::uint64_t spread_hash(std::string_view text) noexcept {
    constexpr std::uint64_t first = 0x9e3779b185ebca87U, second = 0xc2b2ae3d27d4eb4fU, third = 0x165667b19e3779f9U;
    const auto read = [](const char* from, auto word) {
        if constexpr (std::endian::native == std::endian::little) std::memcpy(&word, from, sizeof word);
        else
            for (std::size_t i = sizeof word; i-- > 0;)
                word = static_cast<decltype(word)>(word << 8U | static_cast<unsigned char>(from[i]));
        return static_cast<std::uint64_t>(word);
    };
    const auto round = [](std::uint64_t hash, std::uint64_t word) {
        return std::rotl(hash + word * second, 31) * first;
    };
    std::uint64_t even = first + second, odd = second; // two at once: neither waits for the other
    const char* at = text.data();
    std::size_t left = text.size();
    for (; left >= 16; at += 16, left -= 16) {
        even = round(even, read(at, std::uint64_t{}));
        odd = round(odd, read(at + 8, std::uint64_t{}));
    }
    if (left >= 8) {
        even = round(even, read(at, std::uint64_t{}));
        odd = round(odd, read(at + left - 8, std::uint64_t{}));
    } else if (left >= 4) {
        even = round(even, read(at, std::uint32_t{}) << 32U | read(at + left - 4, std::uint32_t{}));
    } else if (left > 0) {
        even = round(even, read(at, std::uint8_t{}) << 16U | read(at + left / 2, std::uint8_t{}) << 8U |
                               read(at + left - 1, std::uint8_t{}));
    }
    std::uint64_t hash = std::rotl(even, 1) + std::rotl(odd, 7) + text.size();
    hash = (hash ^ hash >> 33U) * second;
    hash = (hash ^ hash >> 29U) * third;
    return hash ^ hash >> 32U;
}

} // namespace detail

/// Records a share of the sessions, each of them whole: by a hash of the session's ID, which is the same in every
/// process. A trace whose session is not known at its start is taken by its own ID, by the ratio of its call
/// (`sample_ratio`) if it has one; what its session turns out to be changes nothing any more, and
/// `tracer::late_sessions` counts it.
///
/// With a key, each of its values may have a share of its own: `mt::record_session_ratio<segment>` with
/// `{.ratio = 0.1, .ratios = {{segment{"pro"}, 1.0}}}`. A session is kept whole as long as its value stays the same.
///
/// A caller's decision comes before that of the session where `parent_based` is around it, and always where the trace
/// goes on from a sender that is trusted (`incoming_trace`). Thread-safe.
template <class Key>
class record_session_ratio {
public:
    struct options {
        double ratio = 1.0; ///< of the sessions whose value has no share of its own; 0 records nothing, 1 everything
        std::vector<std::pair<Key, double>> ratios{};
    };
    static constexpr bool decides_by_session = true;

    explicit record_session_ratio(const options& chosen) : ratio_(chosen.ratio) {
        ratios_.reserve(chosen.ratios.size());
        for (const auto& [value, ratio] : chosen.ratios) ratios_.emplace_back(value, sample_ratio(ratio));
    }

    [[nodiscard]] bool sample(const trace_start& start) const noexcept {
        const std::string_view session = start.session();
        if (!session.data()) return (start.ratio ? *start.ratio : share(start)).holds(start.id.low);
        return share(start).holds(detail::spread_hash(session));
    }

private:
    [[nodiscard]] const sample_ratio& share(const trace_start& start) const noexcept {
        const std::string_view value = start.metadata(Key::name);
        for (const auto& [own, ratio] : ratios_)
            if (own.view() == value) return ratio;
        return ratio_;
    }

    sample_ratio ratio_;
    std::vector<std::pair<Key, sample_ratio>> ratios_;
};

template <>
class record_session_ratio<void> {
public:
    struct options {
        double ratio = 1.0; ///< 0 records nothing, 1 everything
    };
    static constexpr bool decides_by_session = true;

    explicit record_session_ratio(options chosen) noexcept : ratio_(chosen.ratio) {}

    [[nodiscard]] bool sample(const trace_start& start) const noexcept {
        const std::string_view session = start.session();
        if (!session.data()) return (start.ratio ? *start.ratio : ratio_).holds(start.id.low);
        return ratio_.holds(detail::spread_hash(session));
    }

private:
    sample_ratio ratio_;
};

namespace detail {
template <class Key>
inline constexpr bool is_own_sampler<record_session_ratio<Key>> = true;
} // namespace detail

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
