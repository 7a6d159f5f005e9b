# SPDX-License-Identifier: Apache-2.0
# Puts headers of the same names in the build folder that forward to the single header which holds them. A header
# that is in none of them (client/) is taken as it is, and what it includes comes from the single header again.
set(single_include ${PROJECT_SOURCE_DIR}/single_include)
set(forwarding ${CMAKE_CURRENT_BINARY_DIR}/forwarding)
file(GLOB_RECURSE names RELATIVE ${PROJECT_SOURCE_DIR}/include CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/*.hpp)
foreach(name IN LISTS names)
    set(target ${PROJECT_SOURCE_DIR}/include/${name})
    foreach(single IN ITEMS mlflow/trace.hpp mlflow/trace_beast.hpp mlflow/trace_asio.hpp)
        file(STRINGS ${single_include}/${single} found REGEX "^// ---- ${name}$")
        if(found)
            set(target ${single_include}/${single})
            break()
        endif()
    endforeach()
    file(CONFIGURE OUTPUT ${forwarding}/${name} CONTENT "#pragma once\n#include \"${target}\"\n")
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
    ${single_include}/mlflow/trace.hpp ${single_include}/mlflow/trace_beast.hpp ${single_include}/mlflow/trace_asio.hpp)
target_include_directories(mlflow_trace_tests INTERFACE ${forwarding})
target_compile_features(mlflow_trace_tests INTERFACE cxx_std_20)
