// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/platform/files.hpp>
#include <mlflow/trace/text/displayed.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

// The destination of an export.
namespace output {

namespace files = mlflow::trace::detail;

/// A file that gets its name when it is complete, and is readable by its owner only. Until then it has a unique
/// temporary name in the same directory. A pipe or other special file is written directly, and so is standard output
/// (an empty path).
class file {
public:
    explicit file(std::string path) : path_(std::move(path)) {
        struct stat found{};
        if (path_.empty()) return;
        if (::stat(path_.c_str(), &found) == 0 && !S_ISREG(found.st_mode)) {
            open(found);
            return;
        }
        beside_ = path_ + ".XXXXXX.part";
        file_ = files::owned_file(::mkostemps(beside_.data(), 5, O_CLOEXEC));
        if (file_.get() >= 0) return;
        beside_.clear();
        fail(std::strerror(errno));
    }
    file(const file&) = delete;
    file& operator=(const file&) = delete;
    ~file() {
        if (!beside_.empty()) ::unlink(beside_.c_str());
    }

    /// Writes a line with its end. Returns false on failure.
    bool write(std::string_view line) {
        if (is_terminal_) waiting_ += files::displayed(line.substr(0, line.find_last_not_of("\r\n") + 1)) + '\n';
        else waiting_ += line;
        return waiting_.size() < 65536 ? fault_.empty() : flush();
    }
    /// Gives the file its name.
    bool finish() {
        if (!flush()) return false;
        if (beside_.empty()) return true;
        if (::rename(beside_.c_str(), path_.c_str()) != 0) return fail(std::strerror(errno));
        beside_.clear();
        return true;
    }
    /// One line; empty if there was no error.
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

private:
    void open(const struct stat& found) {
        const auto named = files::follow(path_, files::folders::of_anybody);
        if (!named.fault.empty() || !files::is_ours_or_roots(found))
            return static_cast<void>(fail(named.fault.empty() ? "belongs to another user" : named.fault));
        file_ = files::owned_file(::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
        struct stat opened{};
        if (file_.get() < 0) fail(std::strerror(errno));
        else if (::fstat(file_.get(), &opened) != 0 || !files::is_same_file(found, opened))
            fail("was replaced while it was being opened");
    }

    bool fail(std::string_view why) {
        fault_ = (path_.empty() ? "the output" : path_) + " cannot be written: " + std::string(why);
        return false;
    }
    bool flush() {
        if (!fault_.empty()) return false;
        const int to = path_.empty() ? STDOUT_FILENO : file_.get();
        for (std::string_view rest = waiting_; !rest.empty();) {
            const auto written = files::uninterrupted([&] { return ::write(to, rest.data(), rest.size()); });
            if (written <= 0) return fail(std::strerror(written < 0 ? errno : EIO));
            rest.remove_prefix(static_cast<std::size_t>(written));
        }
        waiting_.clear();
        return true;
    }

    std::string path_;
    std::string beside_;
    std::string waiting_;
    std::string fault_;
    files::owned_file file_;
    bool is_terminal_ = path_.empty() && ::isatty(STDOUT_FILENO) == 1; // control sequences are escaped for a terminal
};

} // namespace output
