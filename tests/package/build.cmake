# SPDX-License-Identifier: Apache-2.0
function(run)
    execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${FOLDER})
set(arguments)
if(WAY STREQUAL installed)
    # Installed to one place and used in another: the package must not know where it was.
    run(${CMAKE_COMMAND} --install ${BINARY} --prefix ${FOLDER}/first)
    file(RENAME ${FOLDER}/first ${FOLDER}/moved)
    set(arguments -D CMAKE_PREFIX_PATH=${FOLDER}/moved)
else()
    set(arguments -D MLFLOW_TRACE_SOURCE=${SOURCE})
endif()
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/user -B ${FOLDER}/build -G ${GENERATOR}
    -D CMAKE_CXX_COMPILER=${COMPILER} ${arguments})
run(${CMAKE_COMMAND} --build ${FOLDER}/build)
run(${FOLDER}/build/user)
