# 32-bit ARM with hardware floating point, against the sysroot that `./dev cross armhf` unpacks.
set(CMAKE_SYSTEM_PROCESSOR armhf)
set(tocsin_triple arm-linux-gnueabihf)
set(tocsin_emulator qemu-arm)
include(${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake)
# Files beyond 2 GiB. Times stay as wide as in the interfaces of Debian's libraries: 32 bits in
# Debian 12, 64 from 13 on.
set(CMAKE_C_FLAGS_INIT "-D_FILE_OFFSET_BITS=64")
set(CMAKE_CXX_FLAGS_INIT "-D_FILE_OFFSET_BITS=64")
