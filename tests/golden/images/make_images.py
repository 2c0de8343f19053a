#!/usr/bin/env python3
"""Images and what Pillow makes of them, for tests/test_webp.cpp (Debian 12: python3-pil 9.4, python3-numpy).

NAME.webp with NAME.png beside it, Pillow's pixels of it as RGB, of an animation the first picture; and source.png
with what Pillow resizes it to.
"""
import numpy as np
from PIL import Image

rng = np.random.RandomState(1)
y, x = np.mgrid[0:37, 0:53]
smooth = np.stack([128 + 100 * np.sin(x / 9 + y / 20), 128 + 100 * np.cos(y / 7), 4 * x + y], axis=2)
source = Image.fromarray(np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8))
alpha = source.copy()
alpha.putalpha(Image.fromarray(np.where((x + y) % 20 < 5, 0, np.minimum(255, 5 * x)).astype(np.uint8)))

source.save("lossy.webp", quality=75)
source.save("lossless.webp", lossless=True)
alpha.save("alpha.webp", quality=75)
alpha.save("alpha-lossless.webp", lossless=True, exact=True)
source.convert("L").save("grey.webp", quality=90)
source.save("animated.webp", save_all=True, append_images=[source.rotate(180)], quality=30)
alpha.save("animated-alpha.webp", save_all=True, append_images=[source.rotate(180).convert("RGBA")], lossless=True)
for name in ("lossy", "lossless", "alpha", "alpha-lossless", "grey", "animated", "animated-alpha"):
    Image.open(f"{name}.webp").convert("RGB").save(f"{name}.png", optimize=True)

source.save("source.png", optimize=True)
for width, height in ((32, 32), (20, 64), (100, 9)):
    for name, filter in (("bilinear", Image.BILINEAR), ("lanczos", Image.LANCZOS)):
        source.resize((width, height), filter).save(f"{name}-{height}x{width}.png", optimize=True)
