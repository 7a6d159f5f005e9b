// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/platform/files.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Reads the bytes of a file between two positions.
inline bool read_between(int file, std::uint64_t from, std::uint64_t to, std::string& into) {
    into.resize(static_cast<std::size_t>(to - from));
    for (std::size_t at = 0; at < into.size();) {
        const auto got = uninterrupted(
            [&] { return ::pread(file, into.data() + at, into.size() - at, static_cast<off_t>(from + at)); });
        if (got <= 0) return false;
        at += static_cast<std::size_t>(got);
    }
    return true;
}

inline bool write_whole(int file, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto written = uninterrupted([&] { return ::write(file, bytes.data(), bytes.size()); });
        if (written <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

// The hard links that keep the old content of a file when it is replaced or removed.
inline std::uint64_t other_links_to(const struct stat& file) noexcept {
    return file.st_nlink > 1 ? static_cast<std::uint64_t>(file.st_nlink) - 1 : 0;
}

// Makes a renaming or removal in the directory durable.
inline void sync_folder(const std::string& folder) {
    const owned_file opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (opened.get() >= 0) ::fsync(opened.get());
}

// Replaces a file atomically or not at all: the new content is written next to it, synced and renamed. No other user
// can read the temporary file.
class replaced_file {
public:
    explicit replaced_file(std::string path) : path_(std::move(path)), beside_(path_ + ".XXXXXX.part") {
        file_ = owned_file(::mkostemps(beside_.data(), 5, O_CLOEXEC));
        if (file_.get() < 0) beside_.clear();
    }
    replaced_file(const replaced_file&) = delete;
    replaced_file& operator=(const replaced_file&) = delete;
    ~replaced_file() {
        if (!beside_.empty()) ::unlink(beside_.c_str());
    }

    [[nodiscard]] int get() const noexcept { return file_.get(); }
    [[nodiscard]] bool write(std::string_view bytes) const { return write_whole(file_.get(), bytes); }
    // Returns false, with the reason in errno, on failure.
    bool take_the_place(const struct stat& old) {
        if (::fchmod(file_.get(), old.st_mode & 07777U) != 0) return false;
        if (::geteuid() == 0 && ::fchown(file_.get(), old.st_uid, old.st_gid) != 0) return false;
        if (::fsync(file_.get()) != 0 || ::rename(beside_.c_str(), path_.c_str()) != 0) return false;
        beside_.clear();
        sync_folder(path_.substr(0, path_.rfind('/') + 1));
        return true;
    }

private:
    std::string path_;
    std::string beside_;
    owned_file file_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
