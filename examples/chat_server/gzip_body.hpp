// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model_answer.hpp"

#include <boost/beast/zlib/inflate_stream.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace chat_server {

/// Decompresses a body that may be gzip (RFC 1952): some servers and proxies send gzip without being asked, and not
/// all declare it. Gzip is recognized by its first two bytes, which no text begins with.
class gzip_body {
public:
    /// Calls `on_bytes(std::string_view)` with the uncompressed bytes. Throws model_error for damaged gzip.
    template <class OnBytes>
    void write(std::string_view bytes, OnBytes&& on_bytes) {
        constexpr std::string_view magic = "\x1F\x8B";
        if (form_ == form::plain) return on_bytes(bytes);
        if (form_ == form::deflated) return inflate(bytes, on_bytes);
        if (form_ == form::over) return;
        start_ += bytes;
        if (!start_.starts_with(magic)) {
            if (magic.starts_with(start_)) return;
            form_ = form::plain;
            return on_bytes(std::string_view(start_));
        }
        const std::size_t size = header_size();
        if (size == 0) return;
        form_ = form::deflated;
        inflate(std::string_view(start_).substr(size), on_bytes);
    }

    /// Whether the body is complete.
    [[nodiscard]] bool is_whole() const {
        return form_ != form::deflated && (form_ != form::unknown || start_.empty());
    }

private:
    enum class form : std::uint8_t { unknown, plain, deflated, over };

    // The size of the gzip header; 0 if it is incomplete.
    [[nodiscard]] std::size_t header_size() const {
        constexpr unsigned has_checksum = 2, has_extra = 4, has_name = 8, has_comment = 16;
        const auto byte = [this](std::size_t at) { return static_cast<unsigned char>(start_[at]); };
        std::size_t at = 10;
        if (start_.size() < at) return 0;
        if (byte(2) != 8) throw model_error("sent gzip that is broken");
        const unsigned flags = byte(3);
        if ((flags & has_extra) != 0) {
            if (start_.size() < at + 2) return 0;
            at += std::size_t{2} + byte(at) + std::size_t{256} * byte(at + 1);
        }
        for (const unsigned text : {has_name, has_comment}) {
            if ((flags & text) == 0) continue;
            const std::size_t end = start_.find('\0', at);
            if (end == std::string::npos) return 0;
            at = end + 1;
        }
        if ((flags & has_checksum) != 0) at += 2;
        return start_.size() < at ? 0 : at;
    }

    template <class OnBytes>
    void inflate(std::string_view bytes, OnBytes& on_bytes) {
        namespace zlib = boost::beast::zlib;
        char plain[16384];
        zlib::z_params at;
        at.next_in = bytes.data();
        at.avail_in = bytes.size();
        for (;;) {
            at.next_out = plain;
            at.avail_out = sizeof plain;
            boost::beast::error_code error;
            inflater_.write(at, zlib::Flush::sync, error);
            if (const std::size_t size = sizeof plain - at.avail_out; size != 0)
                on_bytes(std::string_view(plain, size));
            if (error == zlib::error::end_of_stream) {
                form_ = form::over;
                return;
            }
            if (error && error != zlib::error::need_buffers) throw model_error("sent gzip that is broken");
            if (at.avail_out != 0) return;
        }
    }

    form form_ = form::unknown;
    std::string start_;
    boost::beast::zlib::inflate_stream inflater_;
};

} // namespace chat_server
