// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/file_bytes.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <zlib.h>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

class gzip_unpacker : public unpacker {
public:
    gzip_unpacker() { is_open_ = ::inflateInit2(&stream_, 15 + 16) == Z_OK; } // 16: with gzip's header
    gzip_unpacker(const gzip_unpacker&) = delete;
    gzip_unpacker& operator=(const gzip_unpacker&) = delete;
    ~gzip_unpacker() override {
        if (is_open_) ::inflateEnd(&stream_);
    }

    bool unpack(std::string_view in, std::string& out) override {
        if (!is_open_) return false;
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data())); // zlib only reads it
        stream_.avail_in = static_cast<uInt>(in.size());
        while (stream_.avail_in > 0) {
            // A file may contain several gzip members, and zeros at the end.
            if (is_complete_ && *stream_.next_in == 0) return true;
            if (is_complete_ && ::inflateReset(&stream_) != Z_OK) return false;
            is_complete_ = false;
            do {
                char part[65536];
                stream_.next_out = reinterpret_cast<Bytef*>(part);
                stream_.avail_out = sizeof part;
                const int done = ::inflate(&stream_, Z_NO_FLUSH);
                out.append(part, sizeof part - stream_.avail_out);
                is_complete_ = done == Z_STREAM_END;
                if (done != Z_OK && done != Z_STREAM_END && done != Z_BUF_ERROR) return false;
            } while (!is_complete_ && (stream_.avail_in > 0 || stream_.avail_out == 0));
        }
        return true;
    }
    [[nodiscard]] bool is_complete() const override { return is_complete_; }

private:
    z_stream stream_{};
    bool is_open_ = false;
    bool is_complete_ = false;
};

} // namespace detail

/// Lets `trace_file` read files that are compressed with gzip: `mt::trace_file({.path = "traces.jsonl.gz",
/// .compressions = {mt::gzip_compression()}})`. Needs zlib (`-lz`).
[[nodiscard]] inline file_compression gzip_compression() {
    return {"gzip", "\x1f\x8b",
            []() -> std::unique_ptr<unpacker> { return std::make_unique<detail::gzip_unpacker>(); }};
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
