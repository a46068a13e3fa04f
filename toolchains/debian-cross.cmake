# What all cross toolchains share: Debian's cross compiler, a sysroot of Debian packages, and nothing
# of the machine that builds.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${tocsin_triple}-gcc)
set(CMAKE_CXX_COMPILER ${tocsin_triple}-g++)

if(DEFINED ENV{TOCSIN_SYSROOT})
  set(CMAKE_SYSROOT $ENV{TOCSIN_SYSROOT})
else()
  get_filename_component(
    CMAKE_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../build/cross/${CMAKE_SYSTEM_PROCESSOR}/sysroot ABSOLUTE)
endif()
if(NOT IS_DIRECTORY ${CMAKE_SYSROOT}/usr/include)
  message(FATAL_ERROR "No sysroot in ${CMAKE_SYSROOT}: run ./dev cross ${CMAKE_SYSTEM_PROCESSOR}")
endif()

set(CMAKE_FIND_ROOT_PATH ${CMAKE_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CMAKE_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR}
    ${CMAKE_SYSROOT}/usr/lib/${tocsin_triple}/pkgconfig:${CMAKE_SYSROOT}/usr/share/pkgconfig)
unset(ENV{PKG_CONFIG_PATH})
set(llhttp_root ${CMAKE_SYSROOT}/usr/share CACHE PATH "Prefix that holds include/llhttp and llhttp/*.c")

set(CMAKE_CROSSCOMPILING_EMULATOR ${tocsin_emulator};-L;${CMAKE_SYSROOT})
