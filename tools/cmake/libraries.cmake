# damc_library(NAME EXPORT SOURCE...): the static library damc_NAME, which other projects know as damc::EXPORT, with the
# headers of its folder. They get C++20 and the include folder from it, and none of this project's warnings and flags.
function(damc_library name export)
  add_library(damc_${name} STATIC ${ARGN})
  add_library(damc::${export} ALIAS damc_${name})
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.h)
  list(FILTER headers EXCLUDE REGEX "/tensor/(cpu|cuda|processes)/")  # no library's face
  target_sources(damc_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${headers})
  target_compile_features(damc_${name} PUBLIC cxx_std_20)
  set_target_properties(damc_${name} PROPERTIES EXPORT_NAME ${export})
  set(set engine)
  if(name MATCHES "data|core")
    set(set system)
  endif()
  install(TARGETS damc_${name} EXPORT ${set} COMPONENT development
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/damc)
endfunction()
