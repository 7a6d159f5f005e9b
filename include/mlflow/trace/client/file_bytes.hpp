// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/platform/owned_file.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Decompresses a file piece by piece. Derive from it to add a format to `trace_file`.
class unpacker {
public:
    /// Ends the decompression.
    virtual ~unpacker() = default;
    /// Appends the decompressed content of `in`, the next piece of the file, to `out`. Returns false if the data is
    /// damaged.
    virtual bool unpack(std::string_view in, std::string& out) = 0;
    /// Whether the file may end here.
    [[nodiscard]] virtual bool is_complete() const = 0;
};

/// A compression format for `trace_file`: `gzip_compression()` of <mlflow/trace/client/gzip_file.hpp>,
/// `zstd_compression()` of <mlflow/trace/client/zstd_file.hpp>, or your own.
struct file_compression {
    /// The name of the format.
    std::string_view name;
    std::string_view magic; ///< the first bytes of such a file
    /// Creates an unpacker.
    std::unique_ptr<unpacker> (*open)();
};

namespace detail {

// UTF-16 to UTF-8. The first two bytes determine the byte order.
class utf16_unpacker : public unpacker {
public:
    bool unpack(std::string_view in, std::string& out) override {
        for (const char c : in) {
            if (!has_half_) {
                half_ = static_cast<unsigned char>(c);
                has_half_ = true;
                continue;
            }
            has_half_ = false;
            const std::uint32_t other = static_cast<unsigned char>(c);
            if (is_first_) {
                is_big_ = half_ == 0xFE || half_ == 0;
                is_first_ = false;
                if (half_ + other == 0xFE + 0xFF) continue;
            }
            take(is_big_ ? half_ << 8U | other : other << 8U | half_, out);
        }
        return true;
    }
    [[nodiscard]] bool is_complete() const override { return !has_half_; }

private:
    void take(std::uint32_t unit, std::string& out) {
        char encoded[4];
        const bool is_low = unit >= 0xDC00 && unit < 0xE000;
        if (high_ != 0 && is_low) unit = 0x10000 + ((high_ & 0x3FFU) << 10U | (unit & 0x3FFU));
        else if (high_ != 0) out.append(encoded, encode_utf8(encoded, 0xFFFD));
        high_ = unit >= 0xD800 && unit < 0xDC00 ? unit : 0;
        if (high_ == 0) out.append(encoded, encode_utf8(encoded, unit));
    }

    std::uint32_t half_ = 0;
    std::uint32_t high_ = 0;
    bool has_half_ = false;
    bool is_big_ = false;
    bool is_first_ = true;
};

// The OpenTelemetry Collector compresses each message separately, and writes its size in four bytes before it.
class messages_unpacker : public unpacker {
public:
    explicit messages_unpacker(const file_compression& of) : of_(of) {}

    bool unpack(std::string_view in, std::string& out) override {
        while (!in.empty()) {
            if (size_bytes_ < 4) {
                left_ = left_ << 8U | static_cast<unsigned char>(in[0]);
                in.remove_prefix(1);
                if (++size_bytes_ == 4) message_ = of_.open();
                continue;
            }
            const auto part = in.substr(0, left_);
            if (!message_->unpack(part, out)) return false;
            in.remove_prefix(part.size());
            left_ -= part.size();
            if (left_ != 0) continue;
            out += '\n';
            size_bytes_ = 0;
        }
        return true;
    }
    [[nodiscard]] bool is_complete() const override { return size_bytes_ == 0; }

private:
    file_compression of_;
    std::unique_ptr<unpacker> message_;
    std::size_t left_ = 0;
    int size_bytes_ = 0;
};

// For data that is compressed twice.
class twice_unpacker : public unpacker {
public:
    twice_unpacker(std::unique_ptr<unpacker> outer, std::unique_ptr<unpacker> inner)
        : outer_(std::move(outer)), inner_(std::move(inner)) {}

    bool unpack(std::string_view in, std::string& out) override {
        between_.clear();
        const bool is_good = outer_->unpack(in, between_);
        return inner_->unpack(between_, out) && is_good;
    }
    [[nodiscard]] bool is_complete() const override { return outer_->is_complete() && inner_->is_complete(); }

private:
    std::unique_ptr<unpacker> outer_, inner_;
    std::string between_;
};

inline bool is_json_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// The lines of a file, decompressed if necessary.
class file_lines {
public:
    // Returns what is wrong with the file, with a remedy; empty if it can be read.
    [[nodiscard]] std::string open(const std::string& path, const std::vector<file_compression>& compressions) {
        file_ = owned_file(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
        if (file_.get() < 0) return "cannot be opened; use the path of an OTLP JSON lines file";
        if (!fill() && !fault_.empty()) return fault_;
        return look_at_begin(compressions);
    }

    // The next line without its end, valid until the next call. Returns false at the end, or on an error (`fault`).
    bool next(std::string_view& line) {
        for (std::size_t from = at_;;) {
            const std::size_t end = ready_.find('\n', from);
            if (end != std::string::npos || is_at_end_) {
                if (end == std::string::npos && at_ == ready_.size()) return false;
                const std::size_t stop = end == std::string::npos ? ready_.size() : end;
                line = std::string_view(ready_).substr(at_, stop - at_);
                at_ = stop + (end == std::string::npos ? 0 : 1);
                return true;
            }
            ready_.erase(0, at_);
            at_ = 0;
            from = ready_.size();
            fill();
        }
    }
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }
    // The beginning of the file's text.
    [[nodiscard]] const std::string& begin() const noexcept { return begin_; }
    // Why text cannot be written in the file's form with one of the compressions, with a remedy; empty if it can.
    [[nodiscard]] std::string_view obstacle() const noexcept { return obstacle_; }
    // The file ends inside compressed data: it is still being written, or was truncated.
    [[nodiscard]] bool is_cut() const noexcept { return is_cut_; }

private:
    static constexpr std::size_t block = 262144;
    static constexpr std::size_t looked_at = 4096;

    bool fill() {
        if (is_at_end_) return false;
        if (packed_.empty()) packed_.resize(block);
        const auto got = uninterrupted([&] { return ::read(file_.get(), packed_.data(), packed_.size()); });
        if (got < 0) fault_ = std::string("cannot be read: ") + std::strerror(errno);
        if (got <= 0) {
            is_at_end_ = true;
            is_cut_ = unpacker_ && !unpacker_->is_complete();
            return false;
        }
        take({packed_.data(), static_cast<std::size_t>(got)});
        return true;
    }
    void take(std::string_view bytes) {
        if (!unpacker_) ready_ += bytes;
        else if (!unpacker_->unpack(bytes, ready_)) is_cut_ = is_at_end_ = true;
    }
    void unpack_by(std::unique_ptr<unpacker> one) {
        const std::string first = std::exchange(ready_, {});
        const bool is_good = one->unpack(first, ready_);
        if (unpacker_ && obstacle_.empty()) obstacle_ = "is compressed twice; decompress it once";
        if (unpacker_) one = std::make_unique<twice_unpacker>(std::move(unpacker_), std::move(one));
        unpacker_ = std::move(one);
        if (is_at_end_) is_cut_ = is_cut_ || !unpacker_->is_complete();
        if (!is_good) is_cut_ = is_at_end_ = true;
    }

    // The content of a compressed file may be compressed again, UTF-16, or not text.
    std::string look_at_begin(const std::vector<file_compression>& compressions) {
        constexpr int most_layers = 4;
        std::string fault;
        const unpacker* last = nullptr;
        for (int layer = 0; layer < most_layers; ++layer) {
            fault = look_at_layer(compressions);
            if (!fault.empty() || unpacker_.get() == last) break;
            last = unpacker_.get();
            while (ready_.size() < block && fill()) {
            }
        }
        begin_ = ready_.substr(0, looked_at);
        return fault;
    }

    std::string look_at_layer(const std::vector<file_compression>& compressions) {
        using namespace std::string_view_literals;
        constexpr struct {
            std::string_view magic, what, remedy;
        } others[] = {
            {"\x1f\x8b"sv, "is compressed with gzip", "decompress it with gunzip"},
            {"\x28\xb5\x2f\xfd"sv, "is compressed with zstd", "decompress it with unzstd"},
            {"\xfd"
             "7zXZ"sv,
             "is compressed with xz", "decompress it with unxz"},
            {"BZh"sv, "is compressed with bzip2", "decompress it with bunzip2"},
            {"\x04\x22\x4d\x18"sv, "is compressed with lz4", "decompress it with unlz4"},
            {"PK\x03\x04"sv, "is a ZIP archive", "unpack it"},
            {"\xff\xfe\0\0"sv, "is UTF-32", "convert it to UTF-8: iconv -f UTF-32 -t UTF-8"},
            {"\0\0\xfe\xff"sv, "is UTF-32", "convert it to UTF-8: iconv -f UTF-32 -t UTF-8"},
            {"{\0\0\0"sv, "is UTF-32", "convert it to UTF-8: iconv -f UTF-32LE -t UTF-8"},
            {"\0\0\0{\0\0\0"sv, "is UTF-32", "convert it to UTF-8: iconv -f UTF-32BE -t UTF-8"},
            {"PAR1"sv, "is a Parquet file", "use an OTLP JSON lines file"},
            {"SQLite format 3"sv, "is an SQLite database",
             "start an MLflow server with it, and use the server's URL"},
        };
        const std::string_view begin = ready_;
        const std::string_view message = begin.substr(begin.size() < 4 ? begin.size() : 4);
        for (const file_compression& one : compressions) {
            if (begin.starts_with(one.magic)) return unpack_by(one.open()), std::string();
            if (!message.starts_with(one.magic)) continue;
            obstacle_ = "has messages that the OpenTelemetry Collector compressed one by one; write it without "
                        "compression, and compress the whole file";
            return unpack_by(std::make_unique<messages_unpacker>(one)), std::string();
        }
        for (const auto& [magic, what, remedy] : others)
            if (begin.starts_with(magic) || (magic[0] != 'B' && magic[0] != 'P' && message.starts_with(magic)))
                return std::string(what) + "; " + std::string(remedy);
        if (begin.size() > 262 && begin.substr(257, 5) == "ustar") return "is a tar archive; extract it with tar -xf";
        if (begin.starts_with("\xff\xfe") || begin.starts_with("\xfe\xff") ||
            (begin.size() > 1 && (begin[0] == 0) != (begin[1] == 0) &&
             (begin[0] == '{' || begin[1] == '{' || begin[0] == '[' || begin[1] == '['))) {
            obstacle_ = "is UTF-16; convert it to UTF-8: iconv -f UTF-16 -t UTF-8";
            return unpack_by(std::make_unique<utf16_unpacker>()), std::string();
        }
        const auto first = begin.find_first_not_of(" \t\r\n");
        // Recognized by the first field of a request, possibly after the size that the Collector writes before a
        // message.
        constexpr const char* protobuf =
            "is OTLP in protobuf; write it as JSON: `format: json` of the Collector's file exporter";
        const auto is_of_text = [](char c) { return static_cast<unsigned char>(c) >= 0x20 || is_json_space(c); };
        const std::string_view head = begin.substr(0, looked_at);
        constexpr std::string_view short_size("\0\0", 2); // of a message, in four bytes
        if (begin.starts_with(short_size) && message.starts_with("\n") && !message.starts_with("\n{"))
            return protobuf;
        if (first == std::string_view::npos || begin[first] == '{' || begin[first] == '[' || begin[first] == '\0' ||
            begin.starts_with('\x1e') || std::all_of(head.begin(), head.end(), is_of_text))
            return {};
        return begin.starts_with('\n') ? protobuf : "is not a text file; use an OTLP JSON lines file";
    }

    owned_file file_;
    std::string packed_;
    std::string ready_;
    std::size_t at_ = 0;
    std::unique_ptr<unpacker> unpacker_;
    std::string fault_;
    std::string begin_;
    std::string_view obstacle_;
    bool is_at_end_ = false;
    bool is_cut_ = false;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
