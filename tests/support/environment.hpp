// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

extern char** environ;

namespace support {

// Begins without the variables that the library reads, and puts back what was there.
class environment_test : public testing::Test {
protected:
    void SetUp() override {
        for (char** at = environ; *at; ++at) {
            const std::string_view entry(*at);
            const auto equals = entry.find('=');
            if (entry.starts_with("OTEL_") || entry.starts_with("MLFLOW_"))
                before_.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
        }
        for (const auto& [name, value] : before_) ::unsetenv(name.c_str());
    }
    void TearDown() override {
        for (const auto& name : set_) ::unsetenv(name.c_str());
        for (const auto& [name, value] : before_) ::setenv(name.c_str(), value.c_str(), 1);
    }

    void set(const std::string& name, const std::string& value) {
        ::setenv(name.c_str(), value.c_str(), 1);
        set_.push_back(name);
    }

private:
    std::vector<std::pair<std::string, std::string>> before_;
    std::vector<std::string> set_;
};

// A number that a variable sets, to run a test longer or to repeat one.
inline std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
    const char* const text = std::getenv(variable);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

} // namespace support
