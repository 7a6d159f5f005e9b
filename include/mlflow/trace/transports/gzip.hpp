// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>

#include <cstddef>
#include <exception>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <zlib.h>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Compresses the requests of another transport: `mt::mlflow_exporter<mt::gzip_transport<mt::beast_transport>>`.
/// Needs zlib (`-lz`).
///
/// Only spans in protobuf are compressed, because MLflow and every OTLP receiver accept `Content-Encoding: gzip` for
/// these. A request is sent uncompressed if compression fails.
///
/// Errors and thread-safety: those of the inner transport.
template <class Transport>
class gzip_transport {
    static_assert(transport<Transport>,
                  "the transport lacks a member: mlflow::trace::result<http_response> send(const "
                  "mlflow::trace::http_request&)");

public:
    /// Options of `gzip_transport`.
    struct options {
        /// Whether to compress. Set it to false if the network is fast and the CPU is not.
        bool compress = true;
        std::size_t at_least = 1024; ///< bytes; smaller bodies are not compressed
        /// Options of the inner transport.
        typename Transport::options transport{};
    };

    /// Constructs the inner transport.
    explicit gzip_transport(endpoint server, options chosen = {})
        : options_(std::move(chosen)), inner_(std::move(server), options_.transport) {}

    /// Compresses the body if possible, and sends the request.
    result<http_response> send(const http_request& request) noexcept {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
        try {
            return send_or_throw(request);
        } catch (const std::exception&) {
            return inner_.send(request); // memory ran out
        }
#else
        return send_or_throw(request);
#endif
    }

private:
    result<http_response> send_or_throw(const http_request& request) {
        if (!options_.compress || request.body.size() < options_.at_least || !is_protobuf(request) ||
            !compress(request.body))
            return inner_.send(request);
        std::vector<http_header> headers(request.headers.begin(), request.headers.end());
        headers.push_back({"Content-Encoding", "gzip"});
        http_request smaller = request;
        smaller.headers = headers;
        smaller.body = compressed_;
        return inner_.send(smaller);
    }

    static bool is_protobuf(const http_request& request) noexcept {
        for (const auto& [name, value] : request.headers)
            if (detail::same_name(name, "Content-Type")) return value.starts_with("application/x-protobuf");
        return false;
    }

    bool compress(std::string_view body) {
        constexpr int gzip_window = 15 + 16; // zlib.h: adding 16 selects the gzip format
        constexpr int memory_level = 8;
        if (body.size() > std::numeric_limits<uInt>::max()) return false;
        z_stream stream{};
        if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, gzip_window, memory_level, Z_DEFAULT_STRATEGY) != Z_OK)
            return false;
        const struct ended {
            z_stream& stream;
            ~ended() { deflateEnd(&stream); }
        } at_the_end{stream};
        compressed_.resize(deflateBound(&stream, static_cast<uLong>(body.size())));
        stream.next_in = reinterpret_cast<z_const Bytef*>(const_cast<char*>(body.data()));
        stream.avail_in = static_cast<uInt>(body.size());
        stream.next_out = reinterpret_cast<Bytef*>(compressed_.data());
        stream.avail_out = static_cast<uInt>(compressed_.size());
        if (deflate(&stream, Z_FINISH) != Z_STREAM_END) return false;
        compressed_.resize(compressed_.size() - stream.avail_out);
        return true;
    }

    options options_;
    Transport inner_;
    std::string compressed_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
