// SPDX-License-Identifier: Apache-2.0
// Counts the locks that each thread takes, in place of the functions of the C library.
#include <dlfcn.h>
#include <pthread.h>

long locks_of_this_thread();

namespace {

constinit thread_local long taken = 0;

template <class Function>
Function next(const char* name) noexcept {
    return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

} // namespace

long locks_of_this_thread() { return taken; }

extern "C" {

int pthread_mutex_lock(pthread_mutex_t* lock) noexcept {
    static const auto function = next<int (*)(pthread_mutex_t*)>("pthread_mutex_lock");
    ++taken;
    return function(lock);
}
int pthread_mutex_trylock(pthread_mutex_t* lock) noexcept {
    static const auto function = next<int (*)(pthread_mutex_t*)>("pthread_mutex_trylock");
    ++taken;
    return function(lock);
}
int pthread_rwlock_rdlock(pthread_rwlock_t* lock) noexcept {
    static const auto function = next<int (*)(pthread_rwlock_t*)>("pthread_rwlock_rdlock");
    ++taken;
    return function(lock);
}
int pthread_rwlock_wrlock(pthread_rwlock_t* lock) noexcept {
    static const auto function = next<int (*)(pthread_rwlock_t*)>("pthread_rwlock_wrlock");
    ++taken;
    return function(lock);
}
}
