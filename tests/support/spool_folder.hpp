// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace.hpp>
#include <mlflow/trace/spool/spool.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

// A folder for the files of one test, and looks into it.
namespace spool_testing {

namespace mt = mlflow::trace;

class in_a_folder : public testing::Test {
protected:
    std::filesystem::path root =
        std::filesystem::temp_directory_path() /
        ("mlflow_trace-spool-" + std::string(mt::hosted_platform::new_span_id().hex().view()));
    std::string folder = root / "spool";

    void SetUp() override { std::filesystem::create_directory(root); }
    void TearDown() override { std::filesystem::remove_all(root); }

    [[nodiscard]] std::vector<std::filesystem::path> files(std::string_view ending = ".spool") const {
        std::vector<std::filesystem::path> found;
        if (std::filesystem::exists(folder))
            for (const auto& entry : std::filesystem::directory_iterator(folder))
                if (entry.path().string().ends_with(ending)) found.push_back(entry.path());
        return found;
    }
};

inline std::string content_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::filesystem::path& path, std::string_view bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

} // namespace spool_testing
