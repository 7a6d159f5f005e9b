// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/file_bytes.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <zstd.h>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

class zstd_unpacker : public unpacker {
public:
    zstd_unpacker() : stream_(::ZSTD_createDStream()) {}
    zstd_unpacker(const zstd_unpacker&) = delete;
    zstd_unpacker& operator=(const zstd_unpacker&) = delete;
    ~zstd_unpacker() override { ::ZSTD_freeDStream(stream_); }

    bool unpack(std::string_view in, std::string& out) override {
        if (!stream_) return false;
        ZSTD_inBuffer from{in.data(), in.size(), 0};
        for (bool is_full = false; from.pos < from.size || is_full;) {
            char part[65536];
            ZSTD_outBuffer to{part, sizeof part, 0};
            const std::size_t left = ::ZSTD_decompressStream(stream_, &to, &from);
            if (::ZSTD_isError(left) != 0) return false;
            out.append(part, to.pos);
            is_full = to.pos == to.size && left != 0;
            is_complete_ = left == 0;
        }
        return true;
    }
    [[nodiscard]] bool is_complete() const override { return is_complete_; }

private:
    ZSTD_DStream* stream_;
    bool is_complete_ = false;
};

} // namespace detail

/// Lets `trace_file` read files compressed with zstd, also by the OpenTelemetry Collector (`compression: zstd`):
/// `mt::trace_file({.path = "traces.jsonl.zst", .compressions = {mt::zstd_compression()}})`. Needs libzstd
/// (`-lzstd`).
[[nodiscard]] inline file_compression zstd_compression() {
    return {"zstd", "\x28\xb5\x2f\xfd",
            []() -> std::unique_ptr<unpacker> { return std::make_unique<detail::zstd_unpacker>(); }};
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
