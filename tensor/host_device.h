/// Marks code that runs both on the host and inside CUDA kernels.
#pragma once

#if defined(__CUDACC__)
#define DAMC_HD __host__ __device__
#else
#define DAMC_HD
#endif
