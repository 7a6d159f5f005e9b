// SPDX-License-Identifier: Apache-2.0
// A fork after a plugin was unloaded does not take the plugin's locks.
//
//     fork_after_unload PLUGIN
#include <mlflow/trace/memory/pool.hpp>

#include <cstdio>
#include <dlfcn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

int main(int, char** arguments) {
    auto& lock = mlflow::trace::detail::machine::shared_locks::here().of_this_thread();
    lock.lock();
    lock.unlock();
    void* const plugin = ::dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (!plugin) return std::puts(::dlerror()), 1;
    std::thread(reinterpret_cast<void (*)()>(::dlsym(plugin, "use_pool"))).join();
    ::dlclose(plugin);
    if (::dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD)) return std::puts("the plugin is still loaded"), 1;
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    int status = -1;
    ::waitpid(child, &status, 0);
    return status;
}
