# SPDX-License-Identifier: Apache-2.0
# Run by CPack before it makes a package of each component: what Debian wants besides what is installed.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
find_program(gzip gzip REQUIRED)
get_filename_component(source ${CMAKE_CURRENT_LIST_DIR} DIRECTORY)

foreach(component IN LISTS CPACK_COMPONENTS_ALL)
    string(TOUPPER ${component} name)
    set(package ${CPACK_DEBIAN_${name}_PACKAGE_NAME})
    set(root ${CPACK_TEMPORARY_DIRECTORY}/${component}/usr/share)
    set(documents ${root}/doc/${package})
    file(REMOVE_RECURSE ${root}/doc)
    file(MAKE_DIRECTORY ${documents})
    file(CONFIGURE OUTPUT ${documents}/changelog.Debian @ONLY CONTENT
"mlflow-trace (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium

  * Version ${CPACK_PACKAGE_VERSION}, as changelog.gz describes it.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
    configure_file(${source}/CHANGELOG.md ${documents}/changelog COPYONLY)
    configure_file(${CMAKE_CURRENT_LIST_DIR}/debian_copyright ${documents}/copyright COPYONLY)
    if(EXISTS ${root}/zsh/site-functions)
        file(RENAME ${root}/zsh/site-functions ${root}/zsh/vendor-completions) # where the zsh of Debian looks
    endif()
    file(GLOB files ${documents}/changelog* ${root}/man/man1/*.1)
    execute_process(COMMAND ${gzip} -9nf ${files} COMMAND_ERROR_IS_FATAL ANY)
    file(GLOB files ${documents}/* ${root}/man/man1/*)
    file(CHMOD ${files} PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
endforeach()
