// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Version macros and build switches. No other header of the library defines macros.

/// The version of the library, as numbers and as text.
#define MLFLOW_TRACE_VERSION_MAJOR 0
#define MLFLOW_TRACE_VERSION_MINOR 2
#define MLFLOW_TRACE_VERSION_PATCH 0
#define MLFLOW_TRACE_VERSION "0.2.0"

/// 1 where the translation unit is compiled with exceptions, otherwise 0.
#if defined(__cpp_exceptions) && __cpp_exceptions
#define MLFLOW_TRACE_HAS_EXCEPTIONS 1
#else
#define MLFLOW_TRACE_HAS_EXCEPTIONS 0
#endif

/// 1 where there is an operating system, otherwise 0. A freestanding build takes clocks, locks and memory from its
/// platform (`bare_metal_platform`). Define it as 0 to try such a build on a hosted machine.
#ifndef MLFLOW_TRACE_HOSTED
#define MLFLOW_TRACE_HOSTED __STDC_HOSTED__
#endif

#if MLFLOW_TRACE_HOSTED && defined(__has_include)
#if !__has_include(<pthread.h>) || !__has_include(<sys/random.h>)
#error                                                                                                               \
    "mlflow_trace: this platform lacks POSIX threads. For a device, compile with -ffreestanding, or since GCC 13 \
with -DMLFLOW_TRACE_HOSTED=0, and include <mlflow/trace/bare_metal.hpp>"
#endif
#endif

/// The inline namespace of the library. Two versions of the library, or two builds with different layouts, have
/// different names in it and can be linked into one program.
#if !MLFLOW_TRACE_HOSTED
#define MLFLOW_TRACE_ABI v0_2_freestanding
#elif MLFLOW_TRACE_HAS_EXCEPTIONS
#define MLFLOW_TRACE_ABI v0_2
#else
#define MLFLOW_TRACE_ABI v0_2_noexcept
#endif
