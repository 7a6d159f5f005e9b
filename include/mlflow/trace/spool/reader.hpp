// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/spool/files.hpp>
#include <mlflow/trace/spool/format.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The part of a spool file that could not be read.
struct spool_damage {
    std::uint64_t places = 0; ///< sequences of bytes that are not records; at most one for each damaged record
    /// Their size.
    std::uint64_t bytes = 0;
};

namespace detail {

// Reads the records of a part of a segment in order and skips damage. Needs memory for one record and 64 KiB.
template <class Files>
class spool_reader {
public:
    spool_reader(int file, std::uint64_t marker, std::uint64_t begin, std::uint64_t end) noexcept
        : file_(file), at_(begin), end_(end), last_(end) {
        write_fixed64(marker_, marker);
    }

    // The content of the next record, valid until the next call. A view whose data() is null at the end, or if the
    // file cannot be read; then `failed()` is true.
    [[nodiscard]] std::string_view next() {
        bool in_damage = false;
        while (!failed_ && at_ < end_) {
            if (const std::string_view content = record_here(); content.data()) {
                at_ += spool_format::header_size + content.size();
                follows_record_ = true;
                return content;
            }
            if (failed_) break;
            const std::uint64_t from = at_;
            // The previous record may have been truncated and look complete because the next one begins with the
            // missing bytes.
            if (std::exchange(follows_record_, false)) at_ -= sizeof marker_;
            find_marker();
            if (at_ <= from) continue;
            damage_.bytes += at_ - from;
            if (!in_damage) ++damage_.places;
            in_damage = true;
        }
        if (!failed_ && at_ < last_) { // the file has become shorter
            damage_.bytes += last_ - at_;
            if (!in_damage) ++damage_.places;
            at_ = last_;
        }
        return {};
    }

    // The position at which the next record is searched. Everything before it has been read.
    [[nodiscard]] std::uint64_t position() const noexcept { return at_; }
    [[nodiscard]] bool failed() const noexcept { return failed_; }
    [[nodiscard]] const spool_damage& damage() const noexcept { return damage_; }

private:
    static constexpr std::size_t chunk = 64 * 1024;

    [[nodiscard]] std::string_view marker() const noexcept { return {marker_, sizeof marker_}; }

    [[nodiscard]] std::string_view record_here() {
        using namespace spool_format;
        const std::string_view header = bytes(header_size);
        if (header.size() < header_size || header.substr(0, 8) != marker()) return {};
        const auto length = read_little_endian<std::uint32_t>(header.data() + 8);
        const auto checksum = read_little_endian<std::uint32_t>(header.data() + 12);
        if (length > end_ - at_ - header_size) return {};
        const std::string_view record = bytes(header_size + length);
        if (record.size() < header_size + length) return {};
        const std::string_view content = record.substr(header_size);
        return crc32c(content, crc32c(record.substr(8, 4))) == checksum ? content : std::string_view{};
    }

    // Moves forward by at least one byte, to the next marker or to the end.
    void find_marker() {
        for (++at_; !failed_ && at_ < end_;) {
            const std::string_view ahead = bytes(chunk);
            const auto found = ahead.find(marker());
            if (found != std::string_view::npos) return void(at_ += found);
            const std::size_t kept = ahead.size() < end_ - at_ ? sizeof marker_ - 1 : 0; // a marker may begin there
            at_ += ahead.size() - std::min(kept, ahead.size());
        }
    }

    // The next `count` bytes, or fewer at the end.
    [[nodiscard]] std::string_view bytes(std::size_t count) {
        count = static_cast<std::size_t>(std::min<std::uint64_t>(count, end_ - at_));
        if (at_ < window_at_ || at_ + count > window_at_ + window_.size()) {
            window_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(std::max(count, chunk), end_ - at_)));
            window_at_ = at_;
            fill_window();
        }
        const auto offset = static_cast<std::size_t>(at_ - window_at_);
        return offset < window_.size() ? std::string_view(window_).substr(offset, count) : std::string_view{};
    }

    void fill_window() {
        std::size_t filled = 0;
        while (filled < window_.size()) {
            const ssize_t got = uninterrupted([&] {
                return Files::read(file_, window_.data() + filled, window_.size() - filled,
                                   static_cast<off_t>(window_at_ + filled));
            });
            if (got < 0) failed_ = true;
            if (got == 0) end_ = window_at_ + filled;
            if (got <= 0) break;
            filled += static_cast<std::size_t>(got);
        }
        window_.resize(filled);
    }

    int file_;
    char marker_[8];
    std::uint64_t at_;
    std::uint64_t end_;  // the end to read to; less than `last_` if the file has become shorter
    std::uint64_t last_; // the end at construction
    std::string window_;
    std::uint64_t window_at_ = 0;
    spool_damage damage_;
    bool follows_record_ = false;
    bool failed_ = false;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
