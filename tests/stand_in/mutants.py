#!/usr/bin/env python3
"""Plants mistakes in copies of tensor/cuda, one by one, and shows that the tests on the stand-in GPU catch each.

    mutants.py BUILD [NAME...]    of a build with CUDA whose tests are built; all mutants or these

Of a mutant only the file that it changes is compiled again, and linked in the place of the right one. It is caught when a
test fails, does not end, or breaks a rule of the stand-in's. Exit: 0 all caught, 1 some not, 2 a mutant that cannot be
made: its line is no longer in the source.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KERNELS = "cuda_backend.cu"  # is what includes the headers that hold code

# Name: file of tensor/cuda, what stands there once, what the mutant has in its place.
MUTANTS = {
    # Products.
    "operands' transpositions swapped": (
        "blas.cpp", "order(call.A), order(call.B)", "order(call.B), order(call.A)"),
    "operands in the order of a row-major library": (
        "launch.cpp", ".A = operand(b),\n          .B = operand(a),", ".A = operand(a),\n          .B = operand(b),"),
    "leading dimension of a matrix, not of what it is cut from": (
        "launch.cpp", "std::max(least, row_major ? strides[row] : strides[col])", "least"),
    "every product of a batch reads the first matrix": (
        "launch.cpp", "t.ndim() == 3 ? strides[0] : 0", "0"),
    "tf32 products where fp32 is asked for": (
        "blas.cpp", "compute_type(a.dtype(), options.precision)",
        "compute_type(a.dtype(), MatmulPrecision::tf32)"),
    "tf32 products of columns": (
        KERNELS, "blas_.gemm(a, b, {}, {{}, options.precision}, out);",
        "blas_.gemm(a, b, {}, {{}, MatmulPrecision::tf32}, out);"),
    "a product that adds to what was there": (
        "blas.cpp", "one_f = 1.0f, zero_f = 0.0f", "one_f = 1.0f, zero_f = 1.0f"),
    "no bias in the library's epilogue": (
        "blas_lt.cpp", "CUBLASLT_EPILOGUE_BIAS);", "CUBLASLT_EPILOGUE_DEFAULT);"),
    "the bias of the first product of a shape in all": (
        "blas_lt.cpp", "  d.set_bias(bias.raw());\n", ""),
    "an algorithm for better aligned operands": (
        "launch.cpp", ".alignment_a = alignment(call.A.data)", ".alignment_a = 256"),
    # Convolutions.
    "no bias after a convolution": (
        KERNELS, "out, out);\n    finish(bias, options.activation, out);\n  }\n\n  void conv2d_grad_x",
        "out, out);\n  }\n\n  void conv2d_grad_x"),
    "padding off by one for the library": (
        "launch.cpp", ".padding = {s.padding.h, s.padding.w}", ".padding = {s.padding.h + 1, s.padding.w - 1}"),
    "padding off by one in columns": (
        "columns.h", "v = taps_of(ih, s.stride.h, s.padding.h,", "v = taps_of(ih, s.stride.h, s.padding.h + 1,"),
    "channels second with height and width swapped": (
        "launch.cpp", "return {c * h * w, h * w, w, 1};", "return {c * h * w, h * w, 1, h};"),
    "input and output of a convolution swapped": (
        "convolution.cpp", "pointers{operands.x, operands.filter, operands.y}",
        "pointers{operands.y, operands.filter, operands.x}"),
    "a flipped filter": (
        "convolution.cpp", "CUDNN_CROSS_CORRELATION", "CUDNN_CONVOLUTION"),
    "a convolution that adds to what was there": (
        "convolution.cpp", "set(a.beta, CUDNN_TYPE_FLOAT, 0.0f)", "set(a.beta, CUDNN_TYPE_FLOAT, 1.0f)"),
    "tf32 convolutions where fp32 is asked for": (
        "convolution.cpp", "const bool tensor_cores = types.images == Dtype::bf16 || types.precision == MatmulPrecision::tf32;",
        "const bool tensor_cores = true;"),
    "operands at any address for a convolution": (
        KERNELS, "return alignment(t.raw()) >= kConvAlignment ? t : t.clone();", "return t;"),
    "a result in the library's layout that is not copied back": (
        KERNELS, "if (written.raw() != out.raw()) out.copy_from(", "if (false) out.copy_from("),
    "columns of the first images for all": (
        "columns.h", "x.data<float>() + first * s.in_h * s.in_w * s.in_c", "x.data<float>()"),
    # Kernels.
    "rows that end beyond their last element": (
        "loops.h", "run_pack(body.row(r), c, end < loop.cols ? end : loop.cols);", "run_pack(body.row(r), c, end);"),
    "a sum that begins before its terms are there": (
        "executor.cuh", "for (int left = share.half; left >= share.least; left /= 2) {\n      __syncthreads();",
        "for (int left = share.half; left >= share.least; left /= 2) {"),
    "a sum of pieces whose slots are taken again too early": (
        "executor.cuh", "    if (slot == 0) partial[q] = static_cast<T>(sums[0]);\n    __syncthreads();",
        "    if (slot == 0) partial[q] = static_cast<T>(sums[0]);\n"),
    "a barrier for the first half of a block": (
        "executor.cuh", "for (int left = static_cast<int>(blockDim.x) / 2; left >= 1; left /= 2) {\n      __syncthreads();",
        "for (int left = static_cast<int>(blockDim.x) / 2; left >= 1; left /= 2) {\n      if (slot < 128) __syncthreads();"),
    "partial sums combined across the wrong dimension": (
        "executor.cuh", "PartialBody<T>{partial, chunks, inner}", "PartialBody<T>{partial, inner, chunks}"),
    "a launch that another device's thread makes": (
        "executor.cuh", "    memory_->use_device();\n    for_rows_kernel", "    for_rows_kernel"),
    # Memory, streams and graphs.
    "a copy that the host does not wait for": (
        "memory.cpp", 'up ? "to" : "from", index_));\n  synchronize();', 'up ? "to" : "from", index_));'),
    "products on the default stream": (
        "blas.cpp", "cublasSetStream(handle_, memory.stream())", "cublasSetStream(handle_, nullptr)"),
    "a step's memory returned while its graph lives": (
        "graph.cpp", 'capture.end(), 0), "cudaGraphInstantiate");', 'capture.end(), 0), "cudaGraphInstantiate");\n  arena_.reset();'),
    "memory of the pool in a recorded step": (
        "graph.cpp", "const Arenas::Use use(memory_.arenas(), arena_);", ""),
    "a step replayed twice": (
        "graph.cpp", "memory_.use_device();\n  check_cuda(cudaGraphLaunch(",
        "memory_.use_device();\n  cudaGraphLaunch(graph_, memory_.stream());\n  check_cuda(cudaGraphLaunch("),
    "a batch that is used before it has arrived": (
        "staging.cpp", "cudaStreamWaitEvent(memory_.stream(), sent_)", "cudaStreamWaitEvent(stream_, sent_)"),
    "a batch copied over one that is still read": (
        "staging.cpp", 'check_cuda(cudaStreamWaitEvent(stream_, passed_), "cudaStreamWaitEvent");', ""),
    "pinned memory filled again before it is copied": (
        "staging.cpp", 'check_cuda(cudaEventSynchronize(sent_), "copy from pinned memory");', ""),
}


class Build:
    """A build, whose commands compile and link mutants."""

    def __init__(self, folder, work):
        self.folder, self.work = folder, work
        self.parity = "tests/stand_in/test_device_parity_stand_in"
        compiled = json.loads((folder / "compile_commands.json").read_text())
        self.compilers = {Path(c["file"]).name: c for c in compiled
                          if "tensor/cuda/" in c["file"] and "nvcc" not in c["command"]}
        self.linker = subprocess.run(["ninja", "-C", folder, "-t", "commands", self.parity], check=True,
                                     capture_output=True, text=True).stdout.strip().splitlines()[-1]

    def shell(self, command):
        subprocess.run(command, shell=True, check=True, cwd=self.folder, capture_output=True, text=True)

    def make(self, file, text):
        """The parity test with another text in one file of tensor/cuda."""
        tree = self.work / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        changed = tree / "tensor/cuda" / file
        changed.parent.mkdir(parents=True)
        changed.write_text(text)
        if file == "executor.cuh":
            self.shell(f"cmake -DSOURCE={changed} -DFILE={changed} -P {ROOT}/tests/stand_in/host_executor.cmake")
        unit = file if file.endswith(".cpp") else KERNELS
        compiler = self.compilers[unit]
        right = compiler["command"].split(" -o ")[1].split()[0]
        source = changed if file == unit else compiler["file"]
        command = compiler["command"].replace(f" -o {right}", f" -o {self.work}/mutant.o")
        command = command.replace(f" -c {compiler['file']}", f" -w -O1 -c {source}")
        self.shell(command.replace(" -I", f" -I{tree} -I", 1))
        # The linker takes no file of a library whose names it has already.
        command = self.linker.replace(f" -o {self.parity} ", f" -o {self.work}/parity ")
        objects = f" {right} " if f" {right} " in command else f" -o {self.work}/parity "
        self.shell(command.replace(objects, f" {self.work}/mutant.o " + ("" if right in objects else objects), 1))

    def fault(self):
        """The first sign that the mutant is wrong, or None."""
        for eager, processors, cases in (("0", "132", "*"), ("1", "1", "batches*,an optimiser*")):
            run = [self.work / "parity", "--abort-after=1", f"--test-case={cases}"]
            environment = {**os.environ, "STAND_IN_EAGER": eager, "STAND_IN_PROCESSORS": processors,
                           "OMP_WAIT_POLICY": "passive"}
            try:
                done = subprocess.run(run, env=environment, capture_output=True, text=True, errors="replace", timeout=300)
            except subprocess.TimeoutExpired:
                return "does not end"
            said = done.stdout + done.stderr
            found = [line for line in said.splitlines()
                     if "ERROR:" in line or "stand-in GPU: problem:" in line]
            if done.returncode != 0 or "stand-in GPU: 0 problems" not in said:
                return found[0].strip() if found else f"ends with {done.returncode}"
        return None


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    missed = 0
    with tempfile.TemporaryDirectory() as work:
        build = Build(Path(sys.argv[1]).resolve(), Path(work))
        for name in sys.argv[2:] or MUTANTS:
            file, before, after = MUTANTS[name]
            right = (ROOT / "tensor/cuda" / file).read_text()
            if right.count(before) != 1:
                print(f"{name}: {file} has {right.count(before)} times: {before}")
                return 2
            start = time.monotonic()
            try:
                build.make(file, right.replace(before, after))
            except subprocess.CalledProcessError as error:
                print(f"{name}: {error.stderr}")
                return 2
            fault = build.fault()
            missed += fault is None
            print(f"{'caught' if fault else 'MISSED'} {time.monotonic() - start:4.0f} s  {name}: {fault or ''}", flush=True)
    print(f"{missed} missed")
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
