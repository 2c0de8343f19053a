/// Marks code that runs both on the host and inside CUDA kernels.
#pragma once

#if defined(__CUDACC__)
#define DAMC_HD __host__ __device__
#else
#define DAMC_HD
#endif

/// Before a loop that runs seldom or a single time: nvcc, which unrolls any loop, leaves it small.
#if defined(__CUDA_ARCH__)
#define DAMC_ROLLED _Pragma("unroll 1")
#else
#define DAMC_ROLLED
#endif
