// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Version and build switches. The only header of the library that defines macros.

#define MLFLOW_TRACE_VERSION_MAJOR 0
#define MLFLOW_TRACE_VERSION_MINOR 2
#define MLFLOW_TRACE_VERSION_PATCH 0
#define MLFLOW_TRACE_VERSION "0.2.0"

/// 1 where the translation unit is compiled with exceptions, else 0.
#if defined(__cpp_exceptions) && __cpp_exceptions
#define MLFLOW_TRACE_HAS_EXCEPTIONS 1
#else
#define MLFLOW_TRACE_HAS_EXCEPTIONS 0
#endif

/// 1 where there is an operating system, else 0: a freestanding build takes clocks, locks and memory from its
/// platform (`bare_metal_platform`). Set it to 0 to try such a build on a hosted machine.
#ifndef MLFLOW_TRACE_HOSTED
#define MLFLOW_TRACE_HOSTED __STDC_HOSTED__
#endif

/// Inline namespace of everything in the library: two versions, or two builds whose layouts differ, link side by
/// side without meeting.
#if !MLFLOW_TRACE_HOSTED
#define MLFLOW_TRACE_ABI v0_2_freestanding
#elif MLFLOW_TRACE_HAS_EXCEPTIONS
#define MLFLOW_TRACE_ABI v0_2
#else
#define MLFLOW_TRACE_ABI v0_2_noexcept
#endif
