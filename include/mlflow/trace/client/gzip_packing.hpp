// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/file_erasure.hpp>
#include <mlflow/trace/client/gzip_file.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <zlib.h>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

class gzip_packer : public packer {
public:
    gzip_packer() {
        constexpr int with_header = 15 + 16;
        is_open_ =
            ::deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, with_header, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    }
    gzip_packer(const gzip_packer&) = delete;
    gzip_packer& operator=(const gzip_packer&) = delete;
    ~gzip_packer() override {
        if (is_open_) ::deflateEnd(&stream_);
    }

    bool pack(std::string_view in, bool is_last, std::string& out) override {
        if (!is_open_) return false;
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data())); // zlib only reads it
        stream_.avail_in = static_cast<uInt>(in.size());
        int done = Z_OK;
        do {
            char part[65536];
            stream_.next_out = reinterpret_cast<Bytef*>(part);
            stream_.avail_out = sizeof part;
            done = ::deflate(&stream_, is_last ? Z_FINISH : Z_NO_FLUSH);
            if (done == Z_STREAM_ERROR) return false;
            out.append(part, sizeof part - stream_.avail_out);
        } while (stream_.avail_out == 0);
        return !is_last || done == Z_STREAM_END;
    }

private:
    z_stream stream_{};
    bool is_open_ = false;
};

} // namespace detail

/// Lets `file_erasure` rewrite files that are compressed with gzip. Needs zlib (`-lz`).
[[nodiscard]] inline file_packing gzip_packing() {
    return {gzip_compression(), []() -> std::unique_ptr<packer> { return std::make_unique<detail::gzip_packer>(); }};
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
