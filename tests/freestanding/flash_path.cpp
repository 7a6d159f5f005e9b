// SPDX-License-Identifier: Apache-2.0
// What a device has of `flash_ring` and nothing else, to be measured.
#include <mlflow/trace/device/flash_ring.hpp>

#include <new>

namespace mt = mlflow::trace;

extern "C" { // the driver of the flash
bool erase_sector(std::uint32_t sector) noexcept;
bool program_flash(std::uint32_t address, const char* from, std::size_t size) noexcept;
void read_flash(std::uint32_t address, char* to, std::size_t size) noexcept;
}

namespace {

struct driver {
    static constexpr std::uint32_t sector_size = 4096;
    static constexpr std::uint32_t sector_count = 4;
    static constexpr std::uint32_t program_size = 8;
    static bool erase(std::uint32_t sector) noexcept { return erase_sector(sector); }
    static bool program(std::uint32_t address, std::string_view bytes) noexcept {
        return program_flash(address, bytes.data(), bytes.size());
    }
    static void read(std::uint32_t address, std::span<char> to) noexcept {
        read_flash(address, to.data(), to.size());
    }
};

driver flash;
using ring = mt::flash_ring<driver>;
alignas(ring) char memory[sizeof(ring)];
ring* records;

} // namespace

extern "C" {
void mount() noexcept { records = new (memory) ring(flash, mt::ring_full::drop_oldest); }
bool append(const char* from, std::size_t size) noexcept { return records->append({from, size}); }
std::size_t front(char* to, std::size_t size) noexcept { return records->front({to, size}); }
bool pop() noexcept { return records->pop(); }
std::uint32_t dropped() noexcept { return records->dropped(); }
}
