# SPDX-License-Identifier: Apache-2.0
# find_package(mlflow_trace [COMPONENTS beast]): mlflow_trace::mlflow_trace, and mlflow_trace::beast and
# mlflow_trace::compiled where Boost and OpenSSL are found.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/mlflow_trace-targets.cmake)

find_package(Boost QUIET)
find_package(OpenSSL QUIET)
if(Boost_FOUND AND OpenSSL_FOUND)
    include(${CMAKE_CURRENT_LIST_DIR}/mlflow_trace-beast-targets.cmake)
    set(mlflow_trace_beast_FOUND TRUE)
endif()

foreach(component IN LISTS mlflow_trace_FIND_COMPONENTS)
    if(NOT mlflow_trace_FIND_REQUIRED_${component} OR mlflow_trace_${component}_FOUND)
        continue()
    endif()
    set(mlflow_trace_FOUND FALSE)
    if(component STREQUAL "beast")
        set(mlflow_trace_NOT_FOUND_MESSAGE
            "its component beast needs the headers of Boost and OpenSSL (Debian: libboost-dev libssl-dev)")
    else()
        set(mlflow_trace_NOT_FOUND_MESSAGE "it has no component ${component}; there is one: beast")
    endif()
endforeach()
