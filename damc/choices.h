/// What a configuration chooses by name, besides numbers. The names are those of the keys' choices, in this order
/// (config.cpp).
#pragma once

namespace damc {

/// Where posterior chains begin while training (start): at the target sampler's samples, at N(0, I) anew, or where the
/// last chain of the same image ended.
enum class Start { sampler, noise, pool };

/// What stands for "no observation" (uncond). Differs: the paper speaks of a null token; the authors' code feeds fresh
/// noise through a small MLP, which is the default.
enum class Unconditional { noise, null };

/// How z is drawn from the denoiser (solver): by ancestral sampling (Eq. (5)), DDIM, or DPM-Solver++(2M).
enum class Solver { ancestral, ddim, dpm_solver_pp };

/// "ancestral", "ddim" or "dpm-solver++".
constexpr const char* name(Solver solver) {
  constexpr const char* names[] = {"ancestral", "ddim", "dpm-solver++"};
  return names[static_cast<int>(solver)];
}

/// What follows a loss that is not finite (on_nan).
enum class OnNan { stop, rollback };

}  // namespace damc
