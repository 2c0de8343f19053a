# cpu_backend.cpp, for one processor or (DAMC_DISPATCH) for several of x86-64.
include(CheckCXXCompilerFlag)
include(CheckCXXSourceCompiles)
check_cxx_compiler_flag(-march=x86-64-v4 DAMC_HAS_X86_64_V4)
if(DAMC_NATIVE)
  set(CMAKE_REQUIRED_FLAGS -march=native)
  check_cxx_source_compiles("#if !(defined(__AMX_BF16__) || defined(__AMXBF16__)) || !defined(__AVX512BF16__)
    #error
    #endif
    int main() {}" DAMC_NATIVE_AMX)
  unset(CMAKE_REQUIRED_FLAGS)
endif()
# Variants in one program take GNU's linker: another, as clang may bring it, does not dissolve the groups of an object.
foreach(linker "${CMAKE_LINKER}" ld.bfd ld)
  find_program(DAMC_GNU_LINKER NAMES "${linker}")
  if(DAMC_GNU_LINKER)
    execute_process(COMMAND "${DAMC_GNU_LINKER}" --help OUTPUT_VARIABLE help ERROR_QUIET)
    if(help MATCHES "--force-group-allocation")
      break()
    endif()
  endif()
  unset(DAMC_GNU_LINKER CACHE)
endforeach()
if(NOT DAMC_GNU_LINKER)
  message(STATUS "no linker has --force-group-allocation, as GNU's: the CPU's kernels are built for one processor only")
endif()
set(amx -mamx-tile -mamx-bf16 -DDAMC_CPU_TILES)
set(kernels ${CMAKE_CURRENT_SOURCE_DIR}/cpu/cpu_backend.cpp)

# An object for one microarchitecture level that has the functions which variants.cpp names and nothing else for the
# linker: of an inline function it keeps one among all objects, and that must not be one for a newer processor than the
# program runs on.
function(damc_cpu_variant name)
  add_library(damc_cpu_${name} OBJECT ${kernels})
  target_compile_definitions(damc_cpu_${name} PRIVATE DAMC_CPU_VARIANT=${name})
  # "Unique" symbols of GCC's cannot be made local.
  target_compile_options(damc_cpu_${name} PRIVATE ${ARGN} $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
  target_include_directories(damc_cpu_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_features(damc_cpu_${name} PRIVATE cxx_std_20)
  target_link_libraries(damc_cpu_${name} PRIVATE fmt::fmt OpenBLAS::OpenBLAS OpenMP::OpenMP_CXX)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/cpu_${name}.o)
  add_custom_command(OUTPUT ${object} VERBATIM COMMAND_EXPAND_LISTS
    DEPENDS damc_cpu_${name} $<TARGET_OBJECTS:damc_cpu_${name}>
    COMMAND ${DAMC_GNU_LINKER} -r --force-group-allocation -o ${object} $<TARGET_OBJECTS:damc_cpu_${name}>
    COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=*make_cpu_kernels* --keep-global-symbol=*tiles_compute*
      ${object})
  set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  target_sources(damc_tensor PRIVATE ${object})
endfunction()

if(DAMC_GNU_LINKER AND NOT DAMC_NATIVE AND DAMC_HAS_X86_64_V4)
  damc_cpu_variant(baseline)
  damc_cpu_variant(x86_64_v3 -march=x86-64-v3)
  damc_cpu_variant(x86_64_v4 -march=x86-64-v4)
  damc_cpu_variant(x86_64_v4_bf16 -march=x86-64-v4 -mavx512bf16)
  damc_cpu_variant(x86_64_v4_amx -march=x86-64-v4 -mavx512bf16 ${amx})
  set_source_files_properties(cpu/variants.cpp PROPERTIES COMPILE_DEFINITIONS DAMC_DISPATCH)
elseif(DAMC_GNU_LINKER AND DAMC_NATIVE AND DAMC_NATIVE_AMX)
  damc_cpu_variant(native)
  damc_cpu_variant(native_amx ${amx})
  set_source_files_properties(cpu/variants.cpp PROPERTIES COMPILE_DEFINITIONS "DAMC_CPU_VARIANT=native;DAMC_NATIVE_AMX")
else()
  set(name baseline)
  if(DAMC_NATIVE)
    set(name native)
  endif()
  target_sources(damc_tensor PRIVATE ${kernels})
  set_source_files_properties(${kernels} cpu/variants.cpp PROPERTIES COMPILE_DEFINITIONS DAMC_CPU_VARIANT=${name})
endif()
