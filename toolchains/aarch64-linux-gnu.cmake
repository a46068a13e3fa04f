# 64-bit ARM, against the sysroot that `./dev cross aarch64` unpacks.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(tocsin_triple aarch64-linux-gnu)
set(tocsin_emulator qemu-aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake)
