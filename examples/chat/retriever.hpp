// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "text.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace chat {

/// A paragraph found in a help article. A higher `score` is a better match.
struct passage {
    std::string document; ///< file name without ".md"
    std::string title;
    std::string text;
    double score = 0;
};

/// Full-text search over the paragraphs of a folder of Markdown files, ranked by Okapi BM25 with the usual k1 = 1.2
/// and b = 0.75 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009).
///
/// Errors: the constructor throws std::runtime_error if the folder is missing, contains no text, or cannot be read.
/// Thread-safety: any number of threads may search at the same time.
class retriever {
public:
    explicit retriever(const std::filesystem::path& folder) {
        if (!std::filesystem::is_directory(folder)) throw std::runtime_error("no such folder: " + folder.string());
        std::vector<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator(folder))
            if (entry.path().extension() == ".md") files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        for (const auto& file : files) load(file);
        if (passages_.empty()) throw std::runtime_error("no help articles (*.md) in folder: " + folder.string());
    }

    /// The number of passages.
    std::size_t size() const { return passages_.size(); }

    /// At most `k` passages that share a topic word with `query`, best first.
    std::vector<passage> search(std::string_view query, std::size_t k) const {
        std::map<std::size_t, double> scores;
        for (const std::string& word : topic_words(query)) {
            const auto found = index_.find(word);
            if (found == index_.end()) continue;
            const auto matches = static_cast<double>(found->second.size());
            const double rarity = std::log(1 + (static_cast<double>(size()) - matches + 0.5) / (matches + 0.5));
            for (const auto& [number, count] : found->second) scores[number] += rarity * saturation(number, count);
        }
        std::vector<passage> result;
        for (const auto& [number, score] : scores) {
            result.push_back(passages_[number]);
            result.back().score = score;
        }
        std::sort(result.begin(), result.end(), [](const passage& a, const passage& b) {
            return std::tie(b.score, a.document, a.text) < std::tie(a.score, b.document, b.text);
        });
        result.resize(std::min(k, result.size()));
        return result;
    }

private:
    void load(const std::filesystem::path& file) {
        std::ifstream stream(file);
        if (!stream) throw std::runtime_error("cannot read help article: " + file.string());
        std::string title = file.stem().string();
        std::string text;
        const auto finish = [&] {
            if (!text.empty()) add({file.stem().string(), title, std::exchange(text, {})});
        };
        for (std::string line; std::getline(stream, line);) {
            if (!line.empty() && line.back() == '\r') line.pop_back();
            if (line.empty()) finish();
            else if (line.starts_with("# ")) title = line.substr(2);
            else text += (text.empty() ? "" : " ") + line;
        }
        finish();
    }

    void add(passage found) {
        const auto words = topic_words(found.title + ". " + found.title + ". " + found.text); // titles count twice
        for (const std::string& word : words) index_[word][passages_.size()] += 1;
        lengths_.push_back(static_cast<double>(words.size()));
        total_length_ += lengths_.back();
        passages_.push_back(std::move(found));
    }

    double saturation(std::size_t number, double count) const {
        constexpr double k1 = 1.2, b = 0.75;
        const double average = total_length_ / static_cast<double>(size());
        return count * (k1 + 1) / (count + k1 * (1 - b + b * lengths_[number] / average));
    }

    std::vector<passage> passages_;
    std::vector<double> lengths_; ///< of each passage, in topic words
    double total_length_ = 0;
    std::map<std::string, std::map<std::size_t, double>, std::less<>> index_; ///< word -> passage -> count
};

} // namespace chat
