// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/encoded_forms.hpp>
#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/http/secret.hpp>
#include <mlflow/trace/text/json_writer.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The secrets that were sent to a server. They are masked in texts from that server: as they are, percent-encoded, in
// base64, and escaped as in JSON, whichever characters the encoder has encoded. Of a header `scheme value`, the value
// is also masked; of Basic, also the password. Texts of fewer than four characters are not masked, because they would
// match almost any text.
class known_secrets {
public:
    // Keeps the latest secrets, because a server may echo an earlier token.
    void remember(const secret& value) {
        for (const secret& each : latest_)
            if (each.reveal() == value.reveal()) return;
        constexpr std::size_t most = 16;
        if (latest_.size() == most) latest_.erase(latest_.begin());
        latest_.push_back(value);
    }

    [[nodiscard]] std::string masked(std::string text) const {
        std::vector<std::string_view> longest_first; // a secret may be a part of another
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
        const auto begin = value.find_first_not_of(' ', space);
        const auto credential = begin == std::string_view::npos ? std::string_view() : value.substr(begin);
        mask_all_forms(text, credential);
        if (!same_name(value.substr(0, space), "Basic")) return;
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
        mask_encoded(text, value);
        buffer encoded;
        append_base64(encoded, value);
        std::string_view digits = whole(encoded);
        while (digits.ends_with('=')) digits.remove_suffix(1);
        mask_encoded(text, digits);
        std::string for_urls(digits); // RFC 4648, section 5
        for (char& c : for_urls) c = c == '+' ? '-' : c == '/' ? '_' : c;
        mask(text, for_urls);
        encoded.clear();
        append_json_string(encoded, value);
        mask(text, whole(encoded).substr(1, encoded.size() - 2));
    }

    static void mask_encoded(std::string& text, std::string_view value) {
        for (std::size_t at = 0; at < text.size(); ++at)
            if (const auto size = encoded_size(text, at, value); size > 0) text.replace(at, size, stars);
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
