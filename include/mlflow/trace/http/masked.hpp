// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/secret.hpp>
#include <mlflow/trace/text/hex.hpp>
#include <mlflow/trace/text/json_writer.hpp>
#include <mlflow/trace/text/percent.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// As a part of a URL.
inline std::string percent_encoded(std::string_view text, std::string_view digits = "0123456789ABCDEF") {
    std::string encoded;
    append_percent_encoded(encoded, text, is_unreserved, digits);
    return encoded;
}

// What stands in base64 before the padding, or before what is no base64.
inline std::string base64_decoded(std::string_view text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    unsigned group = 0, bits = 0;
    for (const char c : text) {
        const auto value = digits.find(c);
        if (value == std::string_view::npos) break;
        group = (group << 6U | static_cast<unsigned>(value)) & 0xffffU;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        bytes += static_cast<char>(group >> bits & 0xffU);
    }
    return bytes;
}

// How much of the text from `at` on is the value, each of whose characters may stand for itself, be percent-encoded
// or escaped as JSON; 0 where it is not there. Encoders differ in which they encode.
inline std::size_t encoded_size(std::string_view text, std::size_t at, std::string_view value) noexcept {
    const auto code_unit = [text](std::size_t from) {
        int number = from + 4 <= text.size() ? 0 : -1;
        for (std::size_t i = from; number >= 0 && i < from + 4; ++i) {
            const int digit = hex_digit_value(text[i]);
            number = digit < 0 ? -1 : number * 16 + digit;
        }
        return number;
    };
    const std::size_t begin = at;
    for (std::size_t i = 0; i < value.size();) {
        if (at >= text.size()) return 0;
        const utf8_step step = decode_utf8(value.substr(i));
        const int byte = static_cast<unsigned char>(value[i]);
        if (percent_escape_at(text, at) == byte) at += 3, ++i;
        else if (text.substr(at).starts_with("\\u") && step.valid &&
                 code_unit(at + 2) == static_cast<int>(step.code_point))
            at += 6, i += step.length;
        else if (text[at] == '\\' && at + 1 < text.size() && text[at + 1] == value[i] &&
                 std::string_view("\"\\/").find(value[i]) != std::string_view::npos)
            at += 2, ++i;
        else if (text[at] == value[i]) ++at, ++i;
        else return 0;
    }
    return at - begin;
}

// The secrets that one server was sent, so that what it says can be shown without them: as they are, percent-encoded,
// in base64 and escaped as JSON, whichever characters the encoder took for special. Of a header `scheme value` the
// value is one, and of Basic the password too. Texts of less than four characters are no secrets: they would blot out
// anything.
class known_secrets {
public:
    // The latest ones are kept: a server may echo the token before the last.
    void remember(const secret& value) {
        for (const secret& each : latest_)
            if (each.reveal() == value.reveal()) return;
        constexpr std::size_t most = 16;
        if (latest_.size() == most) latest_.erase(latest_.begin());
        latest_.push_back(value);
    }

    [[nodiscard]] std::string masked(std::string text) const {
        std::vector<std::string_view> longest_first; // one may be a part of another
        for (const secret& each : latest_) {
            auto at = longest_first.begin();
            while (at != longest_first.end() && at->size() >= each.reveal().size()) ++at;
            longest_first.insert(at, each.reveal());
        }
        for (const std::string_view value : longest_first) mask_header(text, value);
        return text;
    }

private:
    static void mask_header(std::string& text, std::string_view value) {
        mask_all_forms(text, value);
        const auto space = value.find(' ');
        if (space == std::string_view::npos) return;
        const auto credential = value.substr(space + 1);
        mask_all_forms(text, credential);
        if (!value.starts_with("Basic ")) return;
        const secret pair(base64_decoded(credential));
        mask_all_forms(text, pair.reveal());
        const auto colon = pair.reveal().find(':');
        if (colon != std::string_view::npos) mask_all_forms(text, pair.reveal().substr(colon + 1));
    }

    static void mask_all_forms(std::string& text, std::string_view value) {
        constexpr std::size_t shortest = 4;
        if (value.size() < shortest) return;
        mask(text, value);
        mask(text, percent_encoded(value));
        mask(text, percent_encoded(value, "0123456789abcdef"));
        for (std::size_t at = 0; at < text.size(); ++at)
            if (const auto size = encoded_size(text, at, value); size > 0) text.replace(at, size, stars);
        buffer encoded;
        append_base64(encoded, value);
        std::string_view digits = whole(encoded);
        while (digits.ends_with('=')) digits.remove_suffix(1);
        mask(text, digits);
        std::string for_urls(digits); // RFC 4648, 5
        for (char& c : for_urls) c = c == '+' ? '-' : c == '/' ? '_' : c;
        mask(text, for_urls);
        encoded.clear();
        append_json_string(encoded, value);
        mask(text, whole(encoded).substr(1, encoded.size() - 2));
    }

    static void mask(std::string& text, std::string_view value) {
        for (std::size_t at = 0; (at = text.find(value, at)) != std::string::npos; at += stars.size())
            text.replace(at, value.size(), stars);
    }

    static constexpr std::string_view stars = "***";

    std::vector<secret> latest_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
