// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "answers.hpp"
#include "arguments.hpp"
#include "output.hpp"
#include "report/page.hpp"
#include "report_spans.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <openssl/sha.h>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>
#if defined(MLFLOW_SESSIONS_READS_GZIP)
#include <zlib.h>
#endif

// Writes one self-contained HTML page: numbers by column, and texts in compressed blocks.
namespace report {

struct options {
    std::string path = "report.html";
    std::string content = "spans"; ///< or previews, or figures
};

inline void add(CLI::App& command, options& chosen) {
    command.add_option("--output", chosen.path, "output file")->check(arguments::refuse_empty)->capture_default_str();
    command
        .add_option(
            "--content", chosen.content,
            "how much of the conversations to include: spans (everything), previews (the first 1,000 characters "
            "of each question and answer) or figures (numbers only)")
        ->check(CLI::IsMember({"spans", "previews", "figures"}))
        ->capture_default_str();
}

inline std::string base64(std::string_view bytes) {
    constexpr const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        unsigned bits = 0;
        for (std::size_t i = 0; i < 3; ++i)
            bits = bits << 8U | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U);
        for (unsigned i = 0; i < 4; ++i) text += at + i <= bytes.size() ? digits[bits >> (18U - 6U * i) & 63U] : '=';
    }
    return text;
}

inline std::string sha256(std::string_view text) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
    return "'sha256-" + base64({reinterpret_cast<const char*>(digest), sizeof digest}) + "'";
}

// JSON that cannot close the HTML element that contains it.
inline std::string harmless_json(const json& value) {
    std::string safe;
    for (const char c : dumped(value)) {
        if (c == '<') safe += "\\u003c";
        else safe += c;
    }
    return safe;
}

// A part of the data as an element that browsers neither run nor display.
inline std::string block(std::string_view name, const json& value) {
    std::string element = "<script data-block=\"" + std::string(name) + "\" type=\"";
#if defined(MLFLOW_SESSIONS_READS_GZIP)
    const std::string text = dumped(value);
    std::string packed(::compressBound(text.size()), '\0');
    uLongf size = packed.size();
    const int done = ::compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                                 reinterpret_cast<const Bytef*>(text.data()), text.size(), 6);
    if (done == Z_OK) return element + "text/deflate\">" + base64({packed.data(), size}) + "</script>\n";
#endif
    return element + "application/json\">" + harmless_json(value) + "</script>\n";
}

// Numbers texts in order of first occurrence.
class numbered {
public:
    int operator()(std::string_view text) {
        if (text.empty()) return -1;
        const auto [at, is_new] = numbers_.try_emplace(std::string(text), static_cast<int>(texts_.size()));
        if (is_new) texts_.push_back(text);
        return at->second;
    }
    [[nodiscard]] const json& texts() const noexcept { return texts_; }

private:
    std::unordered_map<std::string, int> numbers_;
    json texts_ = json::array();
};

// The values of a metadata key or tag. A key with very many values is not used for groups.
struct key_column {
    static constexpr std::size_t most_values = 1000;
    numbered values;
    std::vector<std::pair<std::size_t, int>> at; // the trace and its value
};

// Keys that MLflow itself stores. The page shows them elsewhere or not at all.
inline bool makes_no_groups(std::string_view key) {
    return key == mt::user::name || key == mt::session::name || key == "mlflow.traceName" ||
           key == "mlflow.traceInputs" || key == "mlflow.traceOutputs" || key == "mlflow.artifactLocation" ||
           key.starts_with("mlflow.trace.") || key.starts_with("mlflow.trace_schema.");
}

class page {
public:
    void add(const mt::trace_info& trace) {
        const auto usage = mt::detail::parse_json(trace["mlflow.trace.tokenUsage"]).value_or(nullptr);
        const auto spent = mt::detail::parse_json(trace["mlflow.trace.cost"]).value_or(nullptr);
        const auto of = traces_.size();
        row one;
        one.id = trace.trace_id;
        one.time = trace.request_time.time_since_epoch().count();
        one.is_silent = answers::is_missing(trace);
        has_answers_ = has_answers_ || !answers::is_blank_answer(trace.response_preview);
        one.figures = {trace.has_duration ? json(trace.execution_duration.count()) : json(),
                       static_cast<int>(trace.status),
                       users_(trace.user()),
                       sessions_(trace.session()),
                       names_(trace.name()),
                       experiments_(trace.experiment_id),
                       mt::detail::integer_of(usage, "input_tokens"),
                       mt::detail::integer_of(usage, "output_tokens"),
                       mt::detail::integer_of(usage, "cache_read_input_tokens"),
                       mt::detail::number_of(spent, "total_cost")};
        one.session = one.figures[3].get<int>();
        if (one.session >= 0) {
            const auto known = begins_.try_emplace(one.session, one.time).first;
            known->second = std::min(known->second, one.time);
        }
        json reasons = json::array();
        for (const mt::assessment& said : trace.assessments) {
            if (!said.valid || said.what == mt::assessment::kind::other) continue;
            const auto value = mt::detail::parse_json<json>(said.value);
            one.said.push_back({said.name, value.value_or(nullptr),
                                said.what == mt::assessment::kind::expectation ? 1 : 0, said.source.type,
                                said.is_of_session()   ? 2
                                : said.span_id.empty() ? 0
                                                       : 1,
                                said.error});
            reasons.push_back({said.source.id, said.rationale});
        }
        for (const auto& [prefix, texts] : {std::pair{"", &trace.metadata}, std::pair{"tag.", &trace.tags}})
            for (const auto& [key, value] : *texts) {
                if (makes_no_groups(key) || value.size() > 200) continue;
                const std::string name = prefix + key;
                if (keys_.size() >= most_keys && !keys_.contains(name)) continue;
                key_column& column = keys_[name];
                if (column.values.texts().size() <= key_column::most_values)
                    column.at.emplace_back(of, column.values(value.empty() ? "(empty)" : value));
            }
        one.texts = dumped({trace.request_preview, trace.response_preview, trace.client_request_id,
                            json(trace.metadata), json(trace.tags), std::move(reasons)});
        traces_.push_back(std::move(one));
    }

    // Orders sessions by their start, with their turns, so that neighbours are in the same block.
    std::vector<std::string> sort() {
        for (std::size_t at = 0; at < traces_.size(); ++at) traces_[at].place = at;
        std::sort(traces_.begin(), traces_.end(), [this](const row& a, const row& b) {
            const auto rank = [this](const row& one) {
                return std::tuple(one.session < 0 ? one.time : begins_.at(one.session), one.session, one.time,
                                  std::string_view(one.id));
            };
            return rank(a) < rank(b);
        });
        std::vector<std::string> ids;
        ids.reserve(traces_.size());
        for (const row& one : traces_) ids.push_back(one.id);
        return ids;
    }

    // Adds the spans of the next trace.
    void add_spans(std::size_t place, json spans) {
        traces_[place].fault = fault_of(spans);
        waiting_.push_back(std::move(spans));
        if (waiting_.size() == per_block || place + 1 == traces_.size()) {
            const std::string name = 's' + std::to_string(place / per_block);
            span_blocks_.push_back(block(name, std::exchange(waiting_, json::array())));
        }
    }

    [[nodiscard]] std::size_t size() const noexcept { return traces_.size(); }

    /// Calls write(text) until everything is written or it returns false.
    template <class Write>
    bool write(json about, bool with_texts, Write write) {
        about["spans"] = span_blocks_.empty() ? 0 : per_block;
        about["texts"] = with_texts ? per_text_block : 0;
        const std::string_view whole = files::page_html;
        const std::string style = std::string(files::uplot_css) + std::string(files::style_css);
        const std::string script = "/*\n" + std::string(files::license) + "*/\n" + std::string(files::uplot_js) +
                                   "\n(() => {\n\"use strict\";\n" + std::string(files::page_js) + "})();\n";
        const std::string policy = "default-src 'none'; script-src " + sha256(script) + "; style-src " +
                                   sha256(style) + "; base-uri 'none'; form-action 'none'";
        for (std::size_t at = 0; at < whole.size();) {
            const std::size_t begin = std::min(whole.find("{{", at), whole.size());
            if (!write(whole.substr(at, begin - at))) return false;
            if (begin == whole.size()) break;
            const std::size_t end = whole.find("}}", begin);
            const auto name = whole.substr(begin + 2, end - begin - 2);
            at = end + 2;
            if (name == "blocks") {
                for (const std::string& one : span_blocks_)
                    if (!write(one)) return false;
                for (std::size_t first = 0; with_texts && first < traces_.size(); first += per_text_block)
                    if (!write(texts_from(first))) return false;
            } else if (!write(name == "policy"    ? policy
                              : name == "style"   ? style
                              : name == "script"  ? script
                              : name == "about"   ? harmless_json(about)
                              : name == "figures" ? block("figures", figures())
                                                  : std::string())) {
                return false;
            }
        }
        return true;
    }

private:
    static constexpr std::size_t per_block = 100;
    static constexpr std::size_t per_text_block = 1000;
    static constexpr std::size_t most_keys = 64;

    struct row {
        std::string id;
        std::int64_t time = 0;
        int session = -1;
        json figures;
        json said = json::array();
        std::string texts;
        int fault = -1;
        bool is_silent = false; // ended well, without an answer
        std::size_t place = 0;  // before it was sorted
    };

    // The first of turns::causes_in that says why; if none does, the first failed span without a failed child.
    int fault_of(const json& spans) {
        std::unordered_set<std::string_view> passed_on; // IDs of spans with a failed child
        std::unordered_set<std::string_view> explained; // and of those with one that says why
        const auto says_why = [](const json& span) { return span[of_message] != ""; };
        for (const json& span : spans) {
            if (span[of_failed] == 0) continue;
            passed_on.insert(span[of_parent].get_ref<const std::string&>());
            if (says_why(span)) explained.insert(span[of_parent].get_ref<const std::string&>());
        }
        const json* cause = nullptr;
        for (const json& span : spans) {
            const std::string_view id = span[of_id].get_ref<const std::string&>();
            if (span[of_failed] == 0 || explained.contains(id)) continue;
            if (!cause && !passed_on.contains(id)) cause = &span;
            if (!says_why(span)) continue;
            cause = &span;
            break;
        }
        if (!cause) return -1;
        const auto message = (*cause)[of_message].get<std::string>();
        return faults_(dumped({(*cause)[of_name], mt::detail::first_code_points(message, 400)}));
    }

    [[nodiscard]] std::string texts_from(std::size_t first) const {
        json texts = json::array();
        for (std::size_t at = first; at < std::min(first + per_text_block, traces_.size()); ++at)
            texts.push_back(json::parse(traces_[at].texts));
        return block('t' + std::to_string(first / per_text_block), texts);
    }

    [[nodiscard]] json figures() const {
        constexpr const char* names[] = {"duration",   "status", "user",   "session", "name",
                                         "experiment", "input",  "output", "cached",  "cost"};
        json all{{"users", users_.texts()}, {"sessions", sessions_.texts()},
                 {"names", names_.texts()}, {"experiments", experiments_.texts()},
                 {"faults", json::array()}, {"id", json::array()},
                 {"time", json::array()},   {"fault", json::array()}};
        for (const json& fault : faults_.texts()) all["faults"].push_back(json::parse(fault.get<std::string>()));
        std::vector<std::size_t> places(traces_.size());
        std::int64_t before = 0;
        for (std::size_t at = 0; at < traces_.size(); ++at) {
            places[traces_[at].place] = at;
            all["id"].push_back(traces_[at].id);
            all["time"].push_back(traces_[at].time - std::exchange(before, traces_[at].time));
            all["fault"].push_back(traces_[at].fault);
            if (has_answers_ && traces_[at].is_silent) all["silent"].push_back(at);
            for (json said : traces_[at].said) {
                said.insert(said.begin(), at);
                all["said"].push_back(std::move(said));
            }
        }
        for (std::size_t i = 0; i < std::size(names); ++i) {
            json& column = all[names[i]] = json::array();
            for (const row& one : traces_) column.push_back(one.figures[i]);
        }
        json& keys = all["keys"] = json::array();
        for (const auto& [key, column] : keys_) {
            if (column.values.texts().size() > key_column::most_values) continue;
            std::vector<int> at(traces_.size(), -1);
            for (const auto& [trace, value] : column.at) at[places[trace]] = value;
            keys.push_back({{"key", key}, {"values", column.values.texts()}, {"at", std::move(at)}});
        }
        return all;
    }

    numbered users_, sessions_, names_, experiments_, faults_;
    std::map<std::string, key_column> keys_;
    std::unordered_map<int, std::int64_t> begins_;
    std::vector<row> traces_;
    json waiting_ = json::array();
    std::vector<std::string> span_blocks_;
    bool has_answers_ = false; // else none are recorded
};

// Removes everything before an @: user name and password.
inline std::string without_credentials(std::string uri) {
    const auto begin = uri.find("://");
    if (begin == std::string::npos) return uri;
    const auto end = std::min(uri.find('/', begin + 3), uri.size());
    const auto at = uri.rfind('@', end);
    if (at != std::string::npos && at > begin) uri.erase(begin + 3, at - begin - 2);
    while (uri.ends_with('/')) uri.pop_back();
    return uri;
}

inline json about(const arguments::common& told) {
    const bool is_server = arguments::is_of_server(told.tracking_uri);
    json filters = json::array();
    for (const auto& [name, value] :
         {std::pair{"--user", &told.user}, std::pair{"--session", &told.session}, std::pair{"--since", &told.since},
          std::pair{"--until", &told.until}, std::pair{"--filter", &told.filter}})
        if (!value->empty()) filters.push_back(std::string(name) + ' ' + *value);
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return {{"source", without_credentials(told.tracking_uri)},
            {"mlflow", is_server ? json(without_credentials(told.tracking_uri)) : json()},
            {"experiment", is_server ? told.experiment : ""},
            {"filters", std::move(filters)},
            {"made", std::chrono::duration_cast<std::chrono::milliseconds>(now).count()}};
}

/// Writes the page. Returns an error text, or an empty text. `watched` is the source with its progress display.
template <class Watched, class Source>
std::string write(Watched& watched, Source& source, const arguments::common& told, const mt::trace_query& query,
                  const options& chosen) {
    output::file out(chosen.path);
    if (!out.fault().empty()) return out.fault();
    page made;
    const auto found = watched.for_each_trace(query, [&](const mt::trace_info& trace) { made.add(trace); });
    if (!found) return found.error().message();
    const auto ids = made.sort();
    if (chosen.content == "spans") {
        const std::string fault = read_spans(
            source, told, ids, [&](std::size_t place, json spans) { made.add_spans(place, std::move(spans)); });
        if (!fault.empty()) return fault + "; --content previews needs no spans";
    }
    std::size_t bytes = 0;
    made.write(about(told), chosen.content != "figures", [&](std::string_view text) {
        bytes += text.size();
        return out.write(text);
    });
    if (!out.finish()) return out.fault();
    std::cerr << "mlflow_sessions: " << chosen.path << ": " << table::counted(made.size(), "trace") << ", "
              << (bytes + 500) / 1000 << " kB\n";
    return {};
}

} // namespace report
