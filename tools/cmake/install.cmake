# `cmake --install` and packages: the program with the bundled data, and what another project needs to build with the
# libraries.
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/damc)
configure_package_config_file(tools/cmake/damcConfig.cmake.in damcConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(damcConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/damcConfig.cmake ${PROJECT_BINARY_DIR}/damcConfigVersion.cmake
  tools/cmake/FindOpenBLAS.cmake tools/cmake/FindCUDNN.cmake tools/cmake/FindNCCL.cmake DESTINATION ${package} COMPONENT development)
install(EXPORT engine FILE damcEngine.cmake NAMESPACE damc:: DESTINATION ${package} COMPONENT development)
if(NOT DAMC_ENGINE_ONLY)
  install(EXPORT system FILE damcSystem.cmake NAMESPACE damc:: DESTINATION ${package} COMPONENT development)
endif()
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libdamc-dev RENAME copyright COMPONENT development)

if(TARGET damc_tool)
  install(TARGETS damc_tool COMPONENT program RUNTIME)
  install(FILES README.md CHANGELOG.md NOTICE CITATION.cff DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright COMPONENT program)
  install(DIRECTORY data/mnist DESTINATION ${CMAKE_INSTALL_DATADIR}/damc COMPONENT program)
endif()

set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGE_VENDOR "the damc maintainers")
set(CPACK_PACKAGE_CONTACT "the damc maintainers")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Energy-based and diffusion models without a framework")
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME damc)
set(CPACK_DEBIAN_PROGRAM_DESCRIPTION "The program damc: latent energy-based priors, their generators and
diffusion-amortised sampling; training, sampling and evaluation.")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS libopenblas0-openmp)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libdamc-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "For C++ programs: the autodiff engine, layers and
models of damc as static libraries, with headers and find_package(damc).")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS libfmt-dev libopenblas-openmp-dev libzip-dev nlohmann-json3-dev
  pkg-config zlib1g-dev libjpeg-dev libmd-dev libspng-dev libwebp-dev)
list(JOIN CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS ", " CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
if(DAMC_NATIVE)
  string(APPEND CPACK_PACKAGE_VERSION +native)  # for this machine's processor: not to be given away
endif()
set(CPACK_SYSTEM_NAME ${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
include(CPack)
