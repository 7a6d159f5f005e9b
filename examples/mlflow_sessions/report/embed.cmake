# SPDX-License-Identifier: Apache-2.0
# Embeds the files of the page into a program as byte arrays, because compilers limit the length of string literals.
function(mlflow_sessions_embed_report target)
    set(folder ${CMAKE_CURRENT_FUNCTION_LIST_DIR})
    set(parts
        page_html=page.html
        style_css=style.css
        page_js=data.js,figures.js,elements.js,charts.js,table.js,overview.js,lists.js,compare.js,session.js,main.js
        uplot_js=vendor/uPlot.iife.min.js
        uplot_css=vendor/uPlot.min.css
        license=vendor/LICENSE)
    set(source "#include <report/page.hpp>\nnamespace report::files {\n")
    foreach(part IN LISTS parts)
        string(REGEX MATCH "^([a-z_]+)=(.*)$" matched ${part})
        set(name ${CMAKE_MATCH_1})
        string(REPLACE "," ";" names ${CMAKE_MATCH_2})
        set(bytes "")
        foreach(file IN LISTS names)
            file(READ ${folder}/${file} content HEX)
            string(APPEND bytes ${content})
            set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${folder}/${file})
        endforeach()
        string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${bytes}")
        string(APPEND source "static constexpr char ${name}_bytes[] = {${bytes}};\n"
            "const std::string_view ${name}(${name}_bytes, sizeof ${name}_bytes);\n")
    endforeach()
    set(made ${CMAKE_CURRENT_BINARY_DIR}/${target}_page.cpp)
    file(GENERATE OUTPUT ${made} CONTENT "${source}} // namespace report::files\n")
    target_sources(${target} PRIVATE ${made})
    target_include_directories(${target} PRIVATE ${folder}/..)
endfunction()
