# SPDX-License-Identifier: Apache-2.0
# What `cpack -G DEB` makes: libmlflow-trace-dev with the headers and, with MLFLOW_TRACE_BUILD_TOOLS, mlflow-trace-tools with
# mlflow_sessions and mlflow_spool.
set(MLFLOW_TRACE_MAINTAINER "" CACHE STRING "Whom the packages of Debian name: Name <address>")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME mlflow-trace)
set(CPACK_PACKAGE_CONTACT ${MLFLOW_TRACE_MAINTAINER})
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_STRIP_FILES TRUE)
set(CPACK_COMPONENTS_ALL development)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL TRUE)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/debian_files.cmake)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION TRUE)

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libmlflow-trace-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_RECOMMENDS "libboost-dev (>= 1.74), libssl-dev")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS "nlohmann-json3-dev, zlib1g-dev, libzstd-dev")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
"These are the headers of the library, which delivers traces to MLflow or to
any OpenTelemetry receiver.")

if(MLFLOW_TRACE_BUILD_TOOLS)
    list(APPEND CPACK_COMPONENTS_ALL tools)
    set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME mlflow-trace-tools)
    set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION utils)
    set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS TRUE)
    set(CPACK_DEBIAN_TOOLS_PACKAGE_RECOMMENDS ca-certificates)
    set(CPACK_COMPONENT_TOOLS_DESCRIPTION
"These are the tools for the command line: mlflow_sessions shows, compares and
exports users, sessions and turns; mlflow_spool lists and delivers what a
spool holds.")
endif()
include(CPack)
