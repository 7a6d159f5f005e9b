// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/spool/files.hpp>
#include <mlflow/trace/spool/reader.hpp>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <sys/random.h>
#include <sys/stat.h>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

inline std::uint64_t random_number() noexcept {
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof number, 0) != static_cast<ssize_t>(sizeof number))
        number = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    return number;
}

// A file of records that only this object reads, writes and removes while it exists. Functions that return bool leave
// the reason of a failure in errno.
template <class Files>
class spool_segment {
public:
    static std::unique_ptr<spool_segment> create(const std::string& folder, std::string_view kind) {
        // Another process may adopt the new file before it is locked. Then another name is tried.
        for (int attempt = 0; attempt < 100; ++attempt) {
            const auto now = std::chrono::system_clock::now().time_since_epoch();
            const segment_name name{
                static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()),
                random_number(), kind};
            auto created = open(folder, name.text(), O_RDWR | O_CREAT | O_EXCL);
            if (created || (errno != EWOULDBLOCK && errno != ENOENT && errno != EEXIST)) return created;
            if (errno == ENOENT && ::access(folder.c_str(), F_OK) != 0) return nullptr;
        }
        return nullptr;
    }

    // Takes over the file of an ended process. Returns null, with errno EWOULDBLOCK, if that process is still
    // running.
    static std::unique_ptr<spool_segment> adopt(const std::string& folder, const std::string& name) {
        auto adopted = open(folder, name, O_RDWR);
        if (!adopted) return nullptr;
        struct stat found{};
        if (::fstat(adopted->file_.get(), &found) != 0) return nullptr;
        adopted->size_ = static_cast<std::uint64_t>(found.st_size);
        return adopted;
    }

    // Appends records. After a failure none of them is part of the segment: the next call overwrites partial data.
    bool append(std::string_view records) noexcept {
        for (std::uint64_t at = size_; !records.empty();) {
            const ssize_t written = uninterrupted(
                [&] { return Files::write(file_.get(), records.data(), records.size(), static_cast<off_t>(at)); });
            if (written <= 0) {
                const int reason = written < 0 ? errno : EIO;
                Files::resize(file_.get(), static_cast<off_t>(size_));
                errno = reason;
                return false;
            }
            at += static_cast<std::uint64_t>(written);
            records.remove_prefix(static_cast<std::size_t>(written));
            if (records.empty()) size_ = at;
        }
        return true;
    }
    bool sync() noexcept {
        return uninterrupted([&] { return Files::sync(file_.get()); }) == 0;
    }
    bool clear() noexcept {
        if (Files::resize(file_.get(), 0) != 0) return false;
        size_ = forwarded_ = 0;
        return true;
    }
    // False if the file was removed or its directory moved away: the next process would not find it.
    [[nodiscard]] bool is_there() const noexcept {
        struct stat by_file{};
        struct stat by_name{};
        return ::fstat(file_.get(), &by_file) == 0 && ::lstat(path_.c_str(), &by_name) == 0 &&
               is_same_file(by_file, by_name);
    }
    bool remove() noexcept { return Files::remove(path_.c_str()) == 0 || errno == ENOENT; }
    // Keeps the file under a name that no spool forwards.
    bool reject() {
        auto kept =
            path_.substr(0, path_.size() - segment_name::waiting.size()) + std::string(segment_name::rejected);
        if (Files::rename(path_.c_str(), kept.c_str()) != 0) return false;
        path_.swap(kept);
        return true;
    }

    // Reads the records that have not been forwarded.
    [[nodiscard]] spool_reader<Files> reader() const { return reader(forwarded_); }
    [[nodiscard]] spool_reader<Files> reader(std::uint64_t from) const { return {file_.get(), marker_, from, size_}; }
    void set_forwarded(std::uint64_t position) noexcept { forwarded_ = position; }

    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint64_t forwarded() const noexcept { return forwarded_; }
    [[nodiscard]] std::uint64_t left() const noexcept { return size() - forwarded(); }
    [[nodiscard]] std::uint64_t marker() const noexcept { return marker_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    spool_segment(std::string path, std::uint64_t marker, int file) noexcept
        : path_(std::move(path)), marker_(marker), file_(file) {}

    static std::unique_ptr<spool_segment> open(const std::string& folder, const std::string& name, int flags) {
        std::string path = folder + '/' + name;
        const int file = uninterrupted([&] { return Files::open(path.c_str(), flags); });
        if (file < 0) return nullptr;
        std::unique_ptr<spool_segment> opened(
            new spool_segment(std::move(path), segment_name::parse(name)->marker, file));
        if (uninterrupted([&] { return Files::lock(file); }) != 0) return nullptr;
        // The file may have been removed or renamed before it was locked.
        struct stat by_file{};
        struct stat by_name{};
        const bool is_there = ::fstat(file, &by_file) == 0 && ::lstat(opened->path_.c_str(), &by_name) == 0 &&
                              is_same_file(by_file, by_name);
        if (is_there && S_ISREG(by_file.st_mode) && by_file.st_uid == ::geteuid()) return opened;
        errno = is_there ? EPERM : ENOENT; // EPERM: the file belongs to another user, or is not a regular file
        return nullptr;
    }

    std::string path_;
    std::uint64_t marker_;
    owned_file file_;
    std::uint64_t size_ = 0;
    std::uint64_t forwarded_ = 0;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
