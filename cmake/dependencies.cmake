# Everything comes as a Debian 12 package; `./dev` installs what is missing.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(simdjson REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(SQLite3 3.40 REQUIRED)
find_package(ZLIB REQUIRED)
pkg_check_modules(uring REQUIRED IMPORTED_TARGET liburing)
pkg_check_modules(cares REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)

function(tocsin_find_library target name header)
  find_library(${target}_path ${name} REQUIRED)
  find_path(${target}_include ${header} REQUIRED)
  add_library(${target} INTERFACE)
  target_link_libraries(${target} INTERFACE ${${target}_path})
endfunction()
tocsin_find_library(tocsin_mbedtls mbedtls mbedtls/ssl.h)
tocsin_find_library(tocsin_mbedx509 mbedx509 mbedtls/x509_crt.h)
tocsin_find_library(tocsin_mbedcrypto mbedcrypto mbedtls/md.h)
tocsin_find_library(tocsin_paho_c paho-mqtt3as MQTTAsync.h)
tocsin_find_library(tocsin_paho_cpp paho-mqttpp3 mqtt/async_client.h)

# llhttp comes as generated C sources (package node-llhttp). Strict mode: a lenient HTTP parser is
# how requests get smuggled.
set(llhttp_root /usr/share CACHE PATH "Prefix that holds include/llhttp and llhttp/*.c")
add_library(tocsin_llhttp STATIC ${llhttp_root}/llhttp/api.c ${llhttp_root}/llhttp/http.c
                                 ${llhttp_root}/llhttp/llhttp.c)
target_include_directories(tocsin_llhttp SYSTEM PUBLIC ${llhttp_root}/include
                                                       ${llhttp_root}/include/llhttp)
target_compile_definitions(tocsin_llhttp PUBLIC LLHTTP_STRICT_MODE=1)
target_compile_options(tocsin_llhttp PRIVATE -w)
