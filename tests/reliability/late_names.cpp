// SPDX-License-Identifier: Apache-2.0
// Stands before getaddrinfo of the C library: a name that ends in .late is this machine, once there is a file at
// DELIVERY_NAMES. Until then nobody answers for it. Other names are looked up as ever.
#include <cstdlib>
#include <dlfcn.h>
#include <netdb.h>
#include <string_view>
#include <unistd.h>

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** found) {
    static const auto real = reinterpret_cast<decltype(&::getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    if (!name || !std::string_view(name).ends_with(".late")) return real(name, service, hints, found);
    const char* const names = std::getenv("DELIVERY_NAMES");
    if (!names || ::access(names, F_OK) != 0) return EAI_AGAIN;
    return real("127.0.0.1", service, hints, found);
}
