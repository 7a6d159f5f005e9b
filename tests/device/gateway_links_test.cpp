// SPDX-License-Identifier: Apache-2.0
// The ports of the example's gateway: what it changes, and what it refuses.
#include "examples/device_gateway/links.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <linux/fs.h>
#include <netinet/in.h>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using device_gateway::open_port;

// A serial port that is a pseudoterminal: `end` is the device's side.
struct serial_port {
    mt::detail::owned_file end{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
    std::string path;

    serial_port() {
        char name[100];
        if (::grantpt(end.get()) == 0 && ::unlockpt(end.get()) == 0 && ::ptsname_r(end.get(), name, sizeof name) == 0)
            path = name;
    }
    [[nodiscard]] mt::detail::owned_file open() const {
        return mt::detail::owned_file(::open(path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    }
};

TEST(a_port, has_no_setting_of_the_program_before) {
    const serial_port port;
    const auto other = port.open(); // keeps the settings
    termios before{};
    ASSERT_EQ(::tcgetattr(other.get(), &before), 0);
    before.c_iflag |= IXOFF | IXON;
    before.c_cflag |= CSTOPB | CRTSCTS;
    before.c_cflag &= ~static_cast<tcflag_t>(CLOCAL);
    ASSERT_EQ(::tcsetattr(other.get(), TCSANOW, &before), 0);
    const auto opened = open_port(port.path, B9600);
    termios now{};
    ASSERT_EQ(::tcgetattr(other.get(), &now), 0);
    EXPECT_EQ(now.c_iflag & (IXOFF | IXON), 0U);
    EXPECT_EQ(now.c_cflag & (CSTOPB | CRTSCTS | CLOCAL | CREAD), static_cast<tcflag_t>(CLOCAL | CREAD));
    EXPECT_EQ(::cfgetispeed(&now), B9600);
    EXPECT_TRUE(opened.is_answered);
    EXPECT_EQ(opened.path, port.path);
}

TEST(a_port, is_used_by_one_gateway) {
    const serial_port port;
    {
        const auto opened = open_port(port.path, B9600);
        EXPECT_THROW(open_port(port.path, B9600), std::runtime_error);
    }
    EXPECT_NO_THROW(open_port(port.path, B9600));
}

// It would not be opened again, because it was taken for another kind of device.
TEST(a_port, that_is_unplugged_while_it_is_opened_is_an_error) {
    device_gateway::link opened{.file = mt::detail::owned_file(-1)};
    {
        const serial_port port;
        opened.file = port.open();
        ASSERT_GE(opened.file.get(), 0);
    }
    EXPECT_THROW(device_gateway::set_up(opened, "port", B9600), std::runtime_error);
}

TEST(a_port, that_is_another_device_is_left_as_it_is) {
    const auto opened = open_port("/dev/null", B9600);
    EXPECT_TRUE(opened.is_answered);
    EXPECT_TRUE(opened.path.empty());
}

TEST(a_port, that_is_a_file_is_not_written_to) {
    std::string path = std::filesystem::temp_directory_path() / "mlflow_trace-capture-XXXXXX";
    const mt::detail::owned_file created(::mkstemp(path.data()));
    const std::string content(200'000, 'x');
    std::ofstream(path) << content;
    device_gateway::links links;
    links.add(open_port(path, B9600));
    for (int times = 0; times < 3; ++times) {
        links.read(0, -1, [](auto, const mt::frame&) {});
        for (unsigned any = 0; any < 100; ++any) links.write(any, "acknowledged");
    }
    std::ostringstream now;
    now << std::ifstream(path).rdbuf();
    EXPECT_TRUE(now.str() == content);
    ::unlink(path.c_str());
}

// Permissions do not restrict root, which becomes another user until the end of the block.
struct as_an_ordinary_user {
    const bool is_root = ::geteuid() == 0;
    const bool is_ordinary = !is_root || ::seteuid(65'534) == 0;
    as_an_ordinary_user() = default;
    ~as_an_ordinary_user() {
        if (is_root && ::seteuid(0) != 0) std::abort();
    }
    as_an_ordinary_user(const as_an_ordinary_user&) = delete;
    as_an_ordinary_user& operator=(const as_an_ordinary_user&) = delete;
};

bool may_only_be_read(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0 && ::eaccess(path.c_str(), R_OK) == 0 &&
           ::eaccess(path.c_str(), W_OK) != 0;
}

struct temporary_folder {
    std::string path = std::filesystem::temp_directory_path() / "mlflow_trace-read-only-XXXXXX";
    const bool is_made = ::mkdtemp(path.data()) != nullptr && ::chmod(path.c_str(), 0755) == 0;
    temporary_folder() = default;
    ~temporary_folder() {
        if (is_made) std::filesystem::remove_all(path);
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
};

TEST(a_port, that_is_a_file_or_a_fifo_that_may_only_be_read_is_read) {
    const temporary_folder folder;
    ASSERT_TRUE(folder.is_made);
    const std::string file = folder.path + "/capture.bin";
    const std::string fifo = folder.path + "/fifo";
    const auto bytes = mt::acknowledgement_of(1, 2);
    std::ofstream(file).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0444), 0);
    ASSERT_EQ(::chmod(file.c_str(), 0444), 0);
    const as_an_ordinary_user user;
    if (!user.is_ordinary || !may_only_be_read(file)) GTEST_SKIP() << "this user may write to any file";
    device_gateway::links links;
    ASSERT_NO_THROW(links.add(open_port(file, B9600)));
    int frames = 0;
    links.read(0, -1, [&](auto, const mt::frame&) { ++frames; });
    EXPECT_EQ(frames, 1);
    EXPECT_NO_THROW(EXPECT_FALSE(open_port(fifo, B9600).is_answered));
}

// As `chattr +i` and `chattr +a` set it, for root in some file systems.
struct file_attribute {
    mt::detail::owned_file file;
    int before = 0;
    const bool is_set;
    file_attribute(const std::string& path, int attribute)
        : file(::open(path.c_str(), O_RDONLY | O_CLOEXEC)),
          is_set(::ioctl(file.get(), FS_IOC_GETFLAGS, &before) == 0 && set(before | attribute)) {}
    ~file_attribute() {
        if (is_set) static_cast<void>(set(before));
    }
    file_attribute(const file_attribute&) = delete;
    file_attribute& operator=(const file_attribute&) = delete;
    [[nodiscard]] bool set(int flags) const { return ::ioctl(file.get(), FS_IOC_SETFLAGS, &flags) == 0; }
};

TEST(a_port, that_is_a_file_that_not_even_its_owner_may_write_to_is_read) {
    EXPECT_NO_THROW(EXPECT_FALSE(open_port("/proc/self/exe", B9600).is_answered));
    const temporary_folder folder;
    ASSERT_TRUE(folder.is_made);
    const std::string file = folder.path + "/capture.bin";
    std::ofstream(file) << "x";
    for (const int attribute : {FS_IMMUTABLE_FL, FS_APPEND_FL}) {
        const file_attribute set(file, attribute);
        if (!set.is_set) GTEST_SKIP() << "this user, or this file system, cannot set the attribute";
        EXPECT_NO_THROW(EXPECT_FALSE(open_port(file, B9600).is_answered));
    }
    EXPECT_THROW(open_port(folder.path, B9600), std::runtime_error);
}

TEST(a_port, that_is_serial_and_may_only_be_read_is_an_error) {
    const serial_port port;
    ASSERT_EQ(::chmod(port.path.c_str(), 0444), 0);
    const as_an_ordinary_user user;
    if (!user.is_ordinary || !may_only_be_read(port.path)) GTEST_SKIP() << "this user may write to any file";
    EXPECT_THROW(open_port(port.path, B9600), std::runtime_error);
}

mt::detail::owned_file connected_to(int port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<std::uint16_t>(port));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    mt::detail::owned_file file(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(file.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    return file;
}

// With room for one connection, the next one takes the place and the file number of the one before.
TEST(a_connection, that_is_closed_leaves_no_acknowledgement_to_the_next) {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit few = before;
    few.rlim_cur = 32;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    device_gateway::links links;
    ::setrlimit(RLIMIT_NOFILE, &before);
    auto listening = device_gateway::listen_at("127.0.0.1:0");
    const int port = device_gateway::port_of(listening);
    links.listen(std::move(listening));
    const auto bytes = mt::acknowledgement_of(1, 2);
    int frames = 0;
    const auto answer_a_round = [&] {
        std::vector<std::function<void()>> answers;
        links.read(1'000, -1, [&](auto from, const mt::frame&) {
            ++frames;
            answers.emplace_back([&links, from] { links.write(from, "stored"); });
        });
        for (const auto& answer : answers) answer();
    };
    const auto is_answered = [](const mt::detail::owned_file& file) {
        char answer[10];
        return ::recv(file.get(), answer, sizeof answer, MSG_DONTWAIT) > 0;
    };
    const auto first = connected_to(port);
    answer_a_round(); // accepts it
    ASSERT_EQ(::write(first.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    answer_a_round();
    EXPECT_EQ(frames, 1);
    EXPECT_TRUE(is_answered(first));
    ASSERT_EQ(::write(first.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    const auto second = connected_to(port);
    answer_a_round(); // reads the first, closes it, and accepts the second
    EXPECT_EQ(frames, 2);
    EXPECT_FALSE(is_answered(second)) << "the acknowledgement of another device";
    ASSERT_EQ(::write(second.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    answer_a_round();
    EXPECT_TRUE(is_answered(second));
}

TEST(a_port, that_is_a_closed_standard_input_is_an_error) {
    const mt::detail::owned_file kept(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
    ::close(STDIN_FILENO);
    EXPECT_THROW(open_port("-", B9600), std::runtime_error);
    if (kept.get() >= 0) ::dup2(kept.get(), STDIN_FILENO);
}

} // namespace
