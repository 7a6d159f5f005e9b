# SPDX-License-Identifier: Apache-2.0
# The shortest program writes one line, with its user and session.
file(REMOVE traces.jsonl)
execute_process(COMMAND ${PROGRAM} COMMAND_ERROR_IS_FATAL ANY)
file(STRINGS traces.jsonl lines)
list(LENGTH lines count)
if(NOT count EQUAL 1 OR NOT lines MATCHES "user-123" OR NOT lines MATCHES "session-7" OR NOT lines MATCHES "You said: hello")
    message(FATAL_ERROR "traces.jsonl is not what the README promises: ${lines}")
endif()
