// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/device/frame.hpp>
#include <mlflow/trace/device/record_ring.hpp>
#include <mlflow/trace/spool/checksum.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

// A sector begins with a header: "MTR1", its generation, and the CRC-32C of both. A record consists of these parts,
// padded to units of `program_size`:
//
//     4 bytes   or one unit, if that is longer: erased; zeros once the record has been removed
//     4 bytes   length, n
//     4 bytes   CRC-32C of the sector's generation, the offset in the sector, the length and the content
//     n bytes   the content
//
// Sectors are written in turn, so that all of them wear equally. Before a sector is erased, its header is overwritten
// with zeros, because a partly erased sector could otherwise show removed records again. A record torn by a power
// failure has a wrong checksum, and nothing is written after it in that sector.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The memory of a `flash_ring`: at least two sectors. Erasing sets all bits of a sector to 1; programming sets bits
/// to 0. `program` gets whole units of `program_size` bytes (a power of two, at most 32). Each unit is programmed
/// once after it was erased, and possibly a second time with zeros. Addresses are relative to the first sector.
/// `erase` and `program` return false on failure; `flash_ring` reads the result back in any case.
template <class T>
concept flash_memory = requires(T& flash, std::uint32_t number, std::string_view bytes, std::span<char> to) {
    { T::sector_size } -> std::convertible_to<std::uint32_t>;
    { T::sector_count } -> std::convertible_to<std::uint32_t>;
    { T::program_size } -> std::convertible_to<std::uint32_t>;
    { flash.erase(number) } noexcept -> std::same_as<bool>;
    { flash.program(number, bytes) } noexcept -> std::same_as<bool>;
    { flash.read(number, to) } noexcept;
};

/// A queue of records in flash that survives power failures. A record for which `append` returned true stays until
/// `pop` has returned true, and does not reappear after that. An operation interrupted by a power failure takes
/// effect or does not. Uses no heap.
///
/// Thread-safety: none.
template <class Flash>
class flash_ring {
    static_assert(flash_memory<Flash>,
                  "the flash lacks a member: sector_size, sector_count, program_size, and noexcept "
                  "bool erase(std::uint32_t), bool program(std::uint32_t, std::string_view), "
                  "read(std::uint32_t, std::span<char>)");
    static constexpr std::uint32_t unit = Flash::program_size;
    static constexpr std::uint32_t count = Flash::sector_count;
    static_assert(unit > 0 && unit <= 32 && (unit & (unit - 1)) == 0 && count >= 2);

    static constexpr std::uint32_t rounded(std::uint32_t size) noexcept { return (size + unit - 1) / unit * unit; }
    static constexpr std::uint32_t sector_header = rounded(12);
    static constexpr std::uint32_t mark_size = rounded(4);
    static constexpr std::uint32_t head_size = 8;

public:
    /// The longest record, in bytes.
    static constexpr std::uint32_t longest = Flash::sector_size / unit * unit - sector_header - mark_size - head_size;

    /// Reads the records that are in the flash.
    explicit flash_ring(Flash& flash, ring_full policy) noexcept : flash_(flash), policy_(policy) { mount(); }

    /// Appends a record. Returns false if there is no room, which counts as dropped, or if the flash cannot be
    /// written.
    bool append(std::string_view record) noexcept {
        if (record.empty() || record.size() > longest) return ++dropped_, false;
        const auto length = static_cast<std::uint32_t>(record.size());
        for (std::uint32_t attempt = 0; attempt <= count; ++attempt) {
            if (write_.offset + size_of(length) > Flash::sector_size) {
                if (!open_next()) return false;
                continue;
            }
            const place here = write_;
            write_.offset += size_of(length);
            if (write(here, record) && look_at(here).kind == found::record) return true;
            write_.offset = Flash::sector_size; // the flash does not hold what was written
        }
        return false;
    }

    /// Copies the oldest record, or as much of it as fits, and returns its size; 0 if there is none.
    std::size_t front(std::span<char> to) noexcept {
        const std::uint32_t length = seek();
        const std::size_t copied = length < to.size() ? length : to.size();
        if (copied > 0) flash_.read(address(read_) + mark_size + head_size, to.first(copied));
        return length;
    }
    /// Removes the oldest record. Returns false if there is none, or if the flash cannot be written; then the record
    /// stays.
    bool pop() noexcept {
        static constexpr char zeros[32]{};
        if (seek() == 0) return false;
        flash_.program(address(read_), {zeros, mark_size});
        return look_at(read_).kind == found::taken;
    }

    /// The number of records that did not fit or were removed to make room.
    [[nodiscard]] std::uint32_t dropped() const noexcept { return dropped_; }

private:
    struct place {
        std::uint32_t sector = 0;
        std::uint32_t offset = 0;
    };
    enum class found : std::uint8_t { record, taken, damaged, end };
    struct look {
        found kind = found::end;
        std::uint32_t length = 0;
    };

    static constexpr std::uint32_t size_of(std::uint32_t length) noexcept {
        return mark_size + rounded(head_size + length);
    }
    static constexpr std::uint32_t address(place at) noexcept { return at.sector * Flash::sector_size + at.offset; }
    static constexpr std::uint32_t next(std::uint32_t sector) noexcept {
        return sector + 1 == count ? 0 : sector + 1;
    }

    static bool is_erased(std::string_view bytes) noexcept {
        for (const char byte : bytes)
            if (static_cast<unsigned char>(byte) != 0xff) return false;
        return true;
    }
    static std::uint32_t begin_crc(std::uint32_t generation, std::uint32_t offset, const char* length) noexcept {
        char numbers[8];
        detail::framing::write_number(numbers, generation);
        detail::framing::write_number(numbers + 4, offset);
        return detail::framing::crc_of({length, 4},
                                       detail::framing::crc_of({numbers, 8}, detail::framing::crc_begin));
    }

    // The generation of a sector; 0 if it has no valid header.
    [[nodiscard]] std::uint32_t generation_of(std::uint32_t sector) noexcept {
        char header[12];
        flash_.read(sector * Flash::sector_size, header);
        const auto crc = ~detail::framing::crc_of({header, 8}, detail::framing::crc_begin);
        const bool is_good =
            std::string_view(header, 4) == magic && detail::read_little_endian<std::uint32_t>(header + 8) == crc;
        return is_good ? detail::read_little_endian<std::uint32_t>(header + 4) : 0;
    }

    look look_at(place at) noexcept {
        char head[mark_size + head_size];
        if (at.offset + sizeof head > Flash::sector_size) return {};
        flash_.read(address(at), head);
        const auto length = detail::read_little_endian<std::uint32_t>(head + mark_size);
        if (length == 0 || length > longest || at.offset + size_of(length) > Flash::sector_size) return {};
        std::uint32_t crc = begin_crc(generation_of(at.sector), at.offset, head + mark_size);
        char piece[32];
        for (std::uint32_t done = 0; done < length;) {
            const std::uint32_t size = length - done < sizeof piece ? length - done : std::uint32_t{sizeof piece};
            flash_.read(address(at) + mark_size + head_size + done, {piece, size});
            crc = detail::framing::crc_of({piece, size}, crc);
            done += size;
        }
        if (detail::read_little_endian<std::uint32_t>(head + mark_size + 4) != ~crc) return {found::damaged, length};
        return {is_erased({head, mark_size}) ? found::record : found::taken, length};
    }

    // Moves `read_` to the oldest record that was not removed and returns its length; 0 if there is none.
    std::uint32_t seek() noexcept {
        while (read_.sector != write_.sector || read_.offset < write_.offset) {
            const look seen = look_at(read_);
            if (seen.kind == found::record) return seen.length;
            if (seen.kind != found::end) read_.offset += size_of(seen.length);
            else if (read_.sector != write_.sector) read_ = {next(read_.sector), sector_header};
            else return 0;
        }
        return 0;
    }

    bool write(place at, std::string_view record) noexcept {
        char head[head_size];
        detail::framing::write_number(head, static_cast<std::uint32_t>(record.size()));
        const auto crc = detail::framing::crc_of(record, begin_crc(generation_, at.offset, head));
        detail::framing::write_number(head + 4, static_cast<std::uint32_t>(~crc));
        char piece[32];
        const auto byte = [&](std::size_t index) {
            if (index < head_size) return head[index];
            return index - head_size < record.size() ? record[index - head_size] : '\xff';
        };
        const std::uint32_t size = rounded(head_size + static_cast<std::uint32_t>(record.size()));
        for (std::uint32_t done = 0; done < size;) {
            std::uint32_t in_piece = 0;
            while (in_piece < sizeof piece && done + in_piece < size) {
                piece[in_piece] = byte(done + in_piece);
                ++in_piece;
            }
            if (!flash_.program(address(at) + mark_size + done, {piece, in_piece})) return false;
            done += in_piece;
        }
        return true;
    }

    // Erases and opens the next sector. If that fails, the next attempt skips it.
    bool open_next() noexcept {
        static constexpr char zeros[sector_header]{};
        const std::uint32_t opened = next(write_.sector);
        while (seek() != 0 && read_.sector == opened) {
            if (policy_ == ring_full::drop_newest) return ++dropped_, false;
            ++dropped_;
            read_.offset += size_of(look_at(read_).length);
        }
        if (read_.sector == opened) read_ = {next(opened), sector_header};
        char header[sector_header];
        for (char& byte : header) byte = '\xff';
        for (std::size_t i = 0; i < magic.size(); ++i) header[i] = magic[i];
        detail::framing::write_number(header + 4, generation_ + 1);
        const auto crc = detail::framing::crc_of({header, 8}, detail::framing::crc_begin);
        detail::framing::write_number(header + 8, static_cast<std::uint32_t>(~crc));
        const std::uint32_t begin = opened * Flash::sector_size;
        if (generation_of(opened) != 0) flash_.program(begin, {zeros, sector_header});
        const bool is_open = generation_of(opened) == 0 && flash_.erase(opened) &&
                             flash_.program(begin, {header, sector_header}) &&
                             generation_of(opened) == generation_ + 1;
        if (is_open) ++generation_;
        write_ = {opened, is_open ? sector_header : Flash::sector_size};
        return true;
    }

    void mount() noexcept {
        std::uint32_t oldest = 0;
        write_ = {count - 1, Flash::sector_size};
        for (std::uint32_t sector = 0; sector < count; ++sector) {
            const std::uint32_t generation = generation_of(sector);
            if (generation > generation_) {
                generation_ = generation;
                write_ = {sector, sector_header};
            }
            if (generation != 0 && (oldest == 0 || generation < oldest)) {
                oldest = generation;
                read_ = {sector, sector_header};
            }
        }
        if (generation_ == 0) {
            read_ = write_;
            return;
        }
        bool is_clean = true;
        for (look seen = look_at(write_); seen.kind != found::end; seen = look_at(write_)) {
            is_clean = is_clean && seen.kind != found::damaged;
            write_.offset += size_of(seen.length);
        }
        for (std::uint32_t offset = write_.offset; is_clean && offset < Flash::sector_size; ++offset) {
            char byte = 0;
            flash_.read(address({write_.sector, offset}), {&byte, 1});
            is_clean = is_erased({&byte, 1});
        }
        if (!is_clean) write_.offset = Flash::sector_size;
    }

    static constexpr std::string_view magic = "MTR1";

    Flash& flash_;
    place write_;
    place read_;
    std::uint32_t generation_ = 0; // of the sector being written
    std::uint32_t dropped_ = 0;
    ring_full policy_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
