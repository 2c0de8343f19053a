# tensor/cuda/executor.cuh for a host compiler: what only nvcc reads is written as C++ (launch.h).
#   cmake -DSOURCE=executor.cuh -DFILE=made/executor.cuh -P host_executor.cmake
file(READ ${SOURCE} text)
string(REGEX REPLACE "([a-z_]+(<T>)?)<<<([^;]*)>>>\\("
  "stand_in::Launch([](const auto&... all) { \\1(all...); }, \\3)(" text "${text}")
string(REGEX REPLACE "const __grid_constant__ ([A-Za-z]+) " "const \\1& " text "${text}")
if(text MATCHES "<<<|const __grid_constant__")
  message(FATAL_ERROR "${SOURCE}: a launch or parameter that is not understood")
endif()
file(WRITE ${FILE} "${text}")
