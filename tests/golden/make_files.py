"""Files as PyTorch and numpy write them, for the tests of their readers, in files/:

    python3 make_files.py
    python3 make_files.py --check build/bin/damc    # that PyTorch reads what damc convert writes, bit for bit

state.pth        every element type, views, shared memories, empty and 0-dimensional tensors, nested values
legacy.pth       the same in the form of PyTorch before 1.6
authors.pth.tar  a checkpoint in the layout of the paper's authors after two updates of tiny networks (models.py, with
                 a time embedding of 8), its archive deflated to be smaller
arrays.mat, baseline.jpg, progressive.jpg   what scipy and Pillow write, for fuzz_files.cpp
stats.npz        arrays as pytorch-fid keeps its statistics, 5 features in the place of 2048; stats-deflated.npz
script.pth, module.pth, code.pth   a TorchScript archive, a pickled module, a pickle that calls os.system: refused

Tensor i of state.pth holds 0.5 (k - i), k = 0, 1, .. in row-major order, rounded to its type. Needs
PyTorch 2 or later, safetensors, scipy and Pillow.
"""

import argparse
import collections
import functools
import os
import pathlib
import subprocess
import tempfile
import zipfile

import numpy
import PIL.Image
import safetensors.torch
import scipy.io
import torch

import models

FILES = pathlib.Path(__file__).parent / "files"


def counting(i, shape, dtype):
    count = int(numpy.prod(shape, dtype=int))
    values = 0.5 * (torch.arange(count, dtype=torch.float64) - i)
    if dtype == torch.bool:
        return (torch.arange(count) % 2 == 1).reshape(shape)
    if dtype == torch.uint8:
        values = values.abs()
    return values.to(dtype).reshape(shape)


def state():
    dtypes = "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()
    flat = collections.OrderedDict(
        (name, counting(i, (2, 3), getattr(torch, name))) for i, name in enumerate(dtypes))
    matrix = counting(10, (4, 3), torch.float32)
    images = counting(11, (2, 3, 4, 5), torch.float32)
    views = {
        "matrix": matrix,
        "transposed": matrix.t(),
        "rows": matrix[1:3],
        "columns": matrix[:, ::2],
        "expanded": matrix[3:].expand(2, 3),
        "channels_last": images.contiguous(memory_format=torch.channels_last),
        "permuted": images.permute(2, 0, 3, 1),
    }
    odd = [torch.zeros(0, 3), torch.tensor(7), torch.nn.Parameter(counting(12, (3,), torch.float32))]
    return {"flat": flat, "views": views, "odd": odd, "iter": 1234, "lr": 1e-4, "betas": (0.5, 0.999), "done": True,
            "nothing": None, "name": "a name", "number": "12", "args": argparse.Namespace(lr=0.1), 7: {"seven": 7},
            "best": numpy.float64(1.5)}


def authors():
    """train_gen_recon.py of the authors: four networks, three optimisers, the number of the last iteration."""
    torch.manual_seed(1)
    models.NTEMB = 8
    cfg = models.preset("svhn", nz=4, ngf=2, nif=2, nemb=8, ndf=8, width=1 / 16)
    g, e, q, target = models.Generator(cfg), models.Energy(cfg), models.Amortizer(cfg), models.Amortizer(cfg)
    target.load_state_dict(q.state_dict())
    options = {"betas": (0.5, 0.999)}
    optimizers = {"G": torch.optim.Adam(g.parameters(), lr=2e-4, **options),
                  "Q": torch.optim.AdamW(q.parameters(), lr=1.98e-4, weight_decay=1e-4, **options),
                  "E": torch.optim.Adam(e.parameters(), lr=1e-4, **options)}
    for step in range(2):
        x, z = torch.tanh(torch.randn(3, 3, 32, 32)), torch.randn(3, 4)
        condition = q.encoder(x)
        mask = torch.tensor([[1.0], [1.0], [0.0]])
        condition = mask * condition + (1 - mask) * q.prior_emb(torch.randn(3, 4))
        losses = {"G": ((g(z) - x) ** 2).sum() / 3, "E": e(z).mean(),
                  "Q": (q.p(z, torch.randn(3), condition) ** 2).sum() / 3}
        for name, optimizer in optimizers.items():
            optimizer.zero_grad()
            losses[name].backward(retain_graph=True)
        for optimizer in optimizers.values():
            optimizer.step()
    return {"G_state_dict": g.state_dict(), "G_optimizer": optimizers["G"].state_dict(),
            "Q_state_dict": q.state_dict(), "Q_optimizer": optimizers["Q"].state_dict(),
            "Q_dummy_state_dict": target.state_dict(),
            "E_state_dict": e.state_dict(), "E_optimizer": optimizers["E"].state_dict(), "iter": 1}


def deflate(path):
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


class Code:
    def __reduce__(self):
        return os.system, ("echo this was run",)


def same(a, b):
    """Whether two nested values are equal to the bit; lists and tuples count as one."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def check(damc):
    with tempfile.TemporaryDirectory() as folder:
        def convert(source, name):
            target = pathlib.Path(folder) / name
            subprocess.run([damc, "convert", source, target], check=True)
            return target

        original = FILES / "authors.pth.tar"
        load = functools.partial(torch.load, weights_only=True)
        inflated = pathlib.Path(folder) / "inflated.pth"  # PyTorch itself reads no deflated archive
        with zipfile.ZipFile(original) as archive, zipfile.ZipFile(inflated, "w") as copy:
            for name in archive.namelist():
                copy.writestr(name, archive.read(name))
        before, after = load(inflated), load(convert(convert(original, "a.safetensors"), "a.pth"))
        assert list(after) == list(before)
        for key in before:
            if key.endswith("_optimizer"):  # its group's keys come in another order
                groups = [{k: group[k] for k in sorted(group)} for group in before[key]["param_groups"]], \
                    [{k: group[k] for k in sorted(group)} for group in after[key]["param_groups"]]
                assert same(*groups) and same(before[key]["state"], after[key]["state"]), key
            else:
                assert same(dict(before[key]) if isinstance(before[key], dict) else before[key], after[key]), key
        models.NTEMB = 8
        energy = models.Energy(models.preset("svhn", nz=4, ndf=8))
        energy.load_state_dict(after["E_state_dict"])
        torch.optim.Adam(energy.parameters()).load_state_dict(after["E_optimizer"])

        tensors = safetensors.torch.load_file(convert(FILES / "legacy.pth", "b.safetensors"))
        written = load(convert(convert(FILES / "state.pth", "c.safetensors"), "c.pth"))
        assert same({name: tensors[name] for name in sorted(tensors)}, written)
        for group, values in state().items():
            for name, value in values.items() if group in ("flat", "views") else []:
                assert same(value, tensors[f"{group}.{name}"]), name
    print("PyTorch reads what damc writes, bit for bit")


def make():
    FILES.mkdir(exist_ok=True)
    torch.save(state(), FILES / "state.pth")
    torch.save(state(), FILES / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(authors(), FILES / "authors.pth.tar")
    deflate(FILES / "authors.pth.tar")
    torch.save({"a": torch.zeros(1), "b": Code()}, FILES / "code.pth")
    torch.save(torch.nn.Linear(1, 1), FILES / "module.pth")
    torch.jit.script(torch.nn.Linear(1, 1)).save(FILES / "script.pth")
    mu = numpy.arange(5) / 7
    arrays = {"mu": mu, "sigma": numpy.outer(mu, mu) + numpy.eye(5)}
    image = PIL.Image.fromarray(numpy.arange(16 * 17 * 3, dtype=numpy.uint8).reshape(16, 17, 3))
    image.save(FILES / "baseline.jpg")
    image.save(FILES / "progressive.jpg", progressive=True)
    scipy.io.savemat(FILES / "arrays.mat", {"X": numpy.arange(96, dtype=numpy.uint8).reshape(4, 4, 3, 2),
                                            "y": numpy.array([[1], [10]])}, do_compression=True)
    numpy.savez(FILES / "stats.npz", **arrays)
    numpy.savez_compressed(FILES / "stats-deflated.npz", **arrays)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", metavar="DAMC")
    arguments = parser.parse_args()
    check(arguments.check) if arguments.check else make()
