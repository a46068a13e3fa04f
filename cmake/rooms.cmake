# One library per room of the house. A room may link only what lies below it, so a wrong include
# that needs a symbol does not link; `./dev check` finds the others.

add_library(tocsin_options INTERFACE)
target_include_directories(tocsin_options INTERFACE ${PROJECT_SOURCE_DIR}/include
                                                    ${PROJECT_SOURCE_DIR}/src)
target_compile_options(tocsin_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdelete-non-virtual-dtor
                            -Woverloaded-virtual -Werror>)
target_compile_definitions(tocsin_options INTERFACE TOCSIN_VERSION="${PROJECT_VERSION}"
                                                    SPDLOG_FMT_EXTERNAL)
if(TOCSIN_SANITIZE)
  # What a sanitizer reports must end the run, or nobody sees it. The check of virtual tables opens
  # a pipe for each type it meets, which the tests that run out of descriptors do not have.
  target_compile_options(tocsin_options INTERFACE -fsanitize=${TOCSIN_SANITIZE} -fno-sanitize=vptr
                                                  -fno-sanitize-recover=all
                                                  -fno-omit-frame-pointer -gline-tables-only)
  target_link_options(tocsin_options INTERFACE -fsanitize=${TOCSIN_SANITIZE})
  if(TOCSIN_SANITIZE MATCHES "thread")
    target_compile_definitions(tocsin_options INTERFACE TOCSIN_NO_FENCES)
  endif()
endif()

function(tocsin_room name)
  cmake_parse_arguments(room "" "" "FOLDERS;LINK" ${ARGN})
  set(patterns)
  foreach(folder ${room_FOLDERS})
    list(APPEND patterns ${PROJECT_SOURCE_DIR}/src/${folder}/*.cpp)
  endforeach()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${patterns})
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$|_fuzz\\.cpp$|_bench\\.cpp$|/main\\.cpp$")
  add_library(tocsin_${name} STATIC ${sources} ${PROJECT_SOURCE_DIR}/cmake/empty.cpp)
  target_link_libraries(tocsin_${name} PUBLIC tocsin_options ${room_LINK})
endfunction()

tocsin_room(base FOLDERS base LINK fmt::fmt spdlog::spdlog Threads::Threads)
tocsin_room(io FOLDERS io
            LINK tocsin_base PkgConfig::uring PkgConfig::cares tocsin_mbedtls tocsin_mbedx509
                 tocsin_mbedcrypto)
tocsin_room(protocol FOLDERS protocol LINK tocsin_base tocsin_llhttp simdjson::simdjson
                          ZLIB::ZLIB)
tocsin_room(store FOLDERS store LINK tocsin_base SQLite::SQLite3)
tocsin_room(flow FOLDERS flow LINK tocsin_io tocsin_protocol tocsin_paho_cpp tocsin_paho_c)
tocsin_room(stages FOLDERS stages LINK tocsin_flow tocsin_store tocsin_mbedcrypto)
tocsin_room(control FOLDERS control LINK tocsin_stages PkgConfig::sodium)
target_compile_definitions(tocsin_control PUBLIC TOML_EXCEPTIONS=0 TOML_HEADER_ONLY=1)
tocsin_room(app FOLDERS app LINK tocsin_control)
tocsin_room(cli FOLDERS cli LINK tocsin_app CLI11::CLI11)

# The table of channel types: one entry per folder below deliver/channels. A generated table instead
# of static registrars, which a linker drops when nothing refers to them.
file(GLOB channel_folders CONFIGURE_DEPENDS LIST_DIRECTORIES true
     RELATIVE ${PROJECT_SOURCE_DIR}/src/stages/deliver/channels
     ${PROJECT_SOURCE_DIR}/src/stages/deliver/channels/*)
set(channel_declarations "")
set(channel_entries "")
foreach(channel ${channel_folders})
  if(EXISTS ${PROJECT_SOURCE_DIR}/src/stages/deliver/channels/${channel}/channel.cpp)
    string(APPEND channel_declarations "extern const ChannelType channel_type_${channel};\n")
    string(APPEND channel_entries "    &channel_type_${channel},\n")
  endif()
endforeach()
configure_file(${PROJECT_SOURCE_DIR}/cmake/channel_table.cpp.in
               ${PROJECT_BINARY_DIR}/generated/channel_table.cpp @ONLY)
target_sources(tocsin_stages PRIVATE ${PROJECT_BINARY_DIR}/generated/channel_table.cpp)
