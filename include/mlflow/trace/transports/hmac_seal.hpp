// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/secret.hpp>

#include <cstddef>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A seal for `propagator`: HMAC with SHA-256 (RFC 2104), by OpenSSL. All services that trust one another share the
/// key.
///
/// Thread-safety: all functions may be called from any thread.
class hmac_seal {
public:
    /// Options of `hmac_seal`.
    struct options {
        secret key;                       ///< at least 32 random bytes, the same in all services
        std::vector<secret> also_taken{}; ///< further keys that `verify` accepts, while the key is being replaced
    };
    /// Stores the keys.
    explicit hmac_seal(options chosen) : keys_(std::move(chosen)) {}

    /// The seal of a message. Empty without a key or if OpenSSL fails; `verify` rejects an empty seal.
    [[nodiscard]] std::string sign(std::string_view message) const { return sign(keys_.key, message); }
    /// Whether the seal was made with `key` or one of `also_taken`.
    [[nodiscard]] bool verify(std::string_view message, std::string_view seal) const {
        bool is_right = is_same(sign(keys_.key, message), seal);
        for (const secret& key : keys_.also_taken) is_right = is_same(sign(key, message), seal) || is_right;
        return is_right;
    }

private:
    static std::string sign(const secret& key, std::string_view message) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        const std::string_view bytes = key.reveal();
        if (bytes.empty() ||
            !HMAC(EVP_sha256(), bytes.data(), static_cast<int>(bytes.size()),
                  reinterpret_cast<const unsigned char*>(message.data()), message.size(), digest, &size))
            return {};
        return {reinterpret_cast<const char*>(digest), size};
    }
    static bool is_same(std::string_view a, std::string_view b) {
        return !a.empty() && a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
    }

    options keys_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
