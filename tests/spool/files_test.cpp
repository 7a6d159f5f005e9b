// SPDX-License-Identifier: Apache-2.0
#include "support/spool_folder.hpp"
#include <mlflow/trace/spool/files.hpp>

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>

namespace {

using namespace spool_testing;
using files = mt::posix_files;

class spool_files : public in_a_folder {};

TEST_F(spool_files, are_their_owners_alone_and_not_inherited) {
    const std::string path = root / "a";
    const mt::detail::owned_file file(files::open(path.c_str(), O_RDWR | O_CREAT));
    ASSERT_GE(file.get(), 0);
    struct stat found{};
    ASSERT_EQ(::fstat(file.get(), &found), 0);
    EXPECT_EQ(found.st_mode & 077U, 0U);
    EXPECT_NE(::fcntl(file.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(spool_files, are_not_opened_through_a_link_and_a_fifo_does_not_block) {
    write_file(root / "a", "x");
    std::filesystem::create_symlink(root / "a", root / "link");
    EXPECT_LT(files::open((root / "link").c_str(), O_RDWR), 0);
    EXPECT_EQ(errno, ELOOP);
    ASSERT_EQ(::mkfifo((root / "fifo").c_str(), 0600), 0);
    EXPECT_LT(files::open((root / "fifo").c_str(), O_WRONLY), 0);
    EXPECT_EQ(errno, ENXIO);
}

TEST_F(spool_files, are_written_read_and_cut_at_their_places) {
    const mt::detail::owned_file file(files::open((root / "a").c_str(), O_RDWR | O_CREAT));
    EXPECT_EQ(files::write(file.get(), "abcd", 4, 0), 4);
    EXPECT_EQ(files::write(file.get(), "X", 1, 1), 1);
    char read[2];
    EXPECT_EQ(files::read(file.get(), read, 2, 1), 2);
    EXPECT_EQ(std::string(read, 2), "Xc");
    EXPECT_EQ(files::resize(file.get(), 3), 0);
    EXPECT_EQ(files::sync(file.get()), 0);
    EXPECT_EQ(content_of(root / "a"), "aXc");
    EXPECT_EQ(files::rename((root / "a").c_str(), (root / "b").c_str()), 0);
    EXPECT_EQ(files::remove((root / "b").c_str()), 0);
    EXPECT_EQ(files::remove((root / "b").c_str()), -1);
}

TEST_F(spool_files, are_locked_by_one_at_a_time) {
    const std::string path = root / "a";
    const mt::detail::owned_file one(files::open(path.c_str(), O_RDWR | O_CREAT));
    const mt::detail::owned_file other(files::open(path.c_str(), O_RDWR));
    EXPECT_EQ(files::lock(one.get()), 0);
    EXPECT_EQ(files::lock(other.get()), -1);
    EXPECT_EQ(errno, EWOULDBLOCK);
}

TEST_F(spool_files, folders_are_made_with_their_parents_for_this_user_alone) {
    const std::string deep = root / "a/b/c";
    EXPECT_EQ(mt::detail::make_folder(deep).message(), "");
    EXPECT_EQ(mt::detail::make_folder(deep).message(), "") << "it is there";
    EXPECT_EQ(std::filesystem::status(deep).permissions(), std::filesystem::perms::owner_all);
    std::filesystem::permissions(deep, std::filesystem::perms::all);
    EXPECT_NE(mt::detail::make_folder(deep).message().find("mode 0700"), std::string::npos);
    write_file(root / "file", "");
    EXPECT_NE(mt::detail::make_folder(root / "file/a").message().find("Not a directory"), std::string::npos);
}

TEST(fault_text, has_a_remedy_where_there_is_one) {
    EXPECT_NE(mt::detail::spool_fault("/a", ENOSPC).message().find("free some space"), std::string::npos);
    EXPECT_NE(mt::detail::spool_fault("/a", EACCES).message().find("mode 0700"), std::string::npos);
    EXPECT_NE(mt::detail::spool_fault("/a", EROFS).message().find("on a file system that can be written to"),
              std::string::npos);
    EXPECT_NE(mt::detail::spool_fault("/a", ENOTDIR).message().find("the path of a folder"), std::string::npos);
    EXPECT_EQ(mt::detail::spool_fault("/a", EIO).message(), "/a: Input/output error");
}

} // namespace
