"""Pictures of every page for docs/screenshots: `python -m tests.dashboard.screenshots docs/screenshots`.

Wide and narrow, light and dark, from synthetic speakers and made-up trials only: drawn heads with the synthetic
mouths that `lipkd synth` makes, and a tone for a output.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from lipkd.data.store import Clip, ClipStore, Frames, StoreWriter
from preprocessing.synthetic.make_corpus import draw_clip, write_video
from tests.dashboard.deployed import deploy
from tests.dashboard.filmed import show_to_camera
from tests.dashboard.test_browser import CHROMIUM, FLAGS, PATIENCE, serve
from tests.dashboard.tracked import Planned, track_sweep

PAGES = {name: name for name in ("sweeps", "compare", "replay", "errors", "try_it")}
# Pictures and their addresses.
PAGES |= {"leaderboard": "", "hardest": "errors?part=hardest+clips", "webcam": "try_it?from=the+webcam"}
SIZES = {"wide": (1440, 1000), "narrow": (390, 844)}
INK = (58, 44, 40)
SPEAKERS, CLIPS = 3, 4


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        uri = track_sweep(folder, "synthetic", *_store(folder), _plan())
        mouth = draw_clip(7, 0, 0)[1]
        write_video(folder / "mouth", mouth)
        camera = show_to_camera(folder / "mouth.y4m", mouth)
        flags = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera}")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        deploy(folder / "models" / "attention-narrow", trial="attention-p2-w0.5-b8-s0")
        os.environ["LIPKD_MLRUNS"] = str(folder)
        with serve(uri, folder / "log") as root:
            for scheme in ("light", "dark"):
                for size, (width, height) in SIZES.items():
                    viewport: ViewportSize = {"width": width, "height": height}
                    context = browser.new_context(viewport=viewport, permissions=["camera", "microphone"])
                    page = context.new_page()
                    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                    for title, address in PAGES.items():
                        _take(page, f"{root}/{address}")
                        if title == "try_it":
                            _try(page, folder / "mouth.mp4")
                        if title == "webcam":
                            _record(page)
                        _save(page, out / f"{title}-{size}-{scheme}.png")
                    context.close()
        browser.close()


def _take(page: Page, address: str) -> None:
    page.goto(address)
    page.locator("h1").wait_for(timeout=PATIENCE)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=PATIENCE)
    page.wait_for_timeout(1500)  # charts and tables are drawn after the script has ended
    for _ in range(30 if "replay" in address else 0):  # to where somebody speaks
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)


def _try(page: Page, mouth: Path) -> None:
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(mouth)
    page.get_by_test_id("player").wait_for(timeout=PATIENCE)
    page.wait_for_timeout(1500)


def _record(page: Page) -> None:
    for button in ("Turn the camera on", "Record"):
        page.get_by_test_id("webcam").get_by_role("button", name=button).click()
    page.wait_for_timeout(1500)


def _save(page: Page, path: Path) -> None:
    shot = path.with_suffix(".full.png")
    page.screenshot(path=shot)
    Image.open(shot).convert("RGB").quantize(96).save(path, optimize=True)
    shot.unlink()
    print(f"{path}  {path.stat().st_size // 1024} kB", flush=True)


def _plan() -> list[Planned]:
    """Vanilla and two methods at two widths, three seeds; one trial that runs, one that failed."""
    rng = np.random.default_rng(0)
    plan = []
    for method, peers, gain in (("independent", 1, 0.0), ("dml", 2, 0.05), ("attention", 2, 0.08)):
        for width, floor in ((0.5, 0.42), (1.0, 0.3)):
            for seed in range(3):
                end = floor - gain + rng.normal(0, 0.015)
                wers = [end + (1 - end) * 0.82**epoch + abs(rng.normal(0, 0.01)) for epoch in range(1, 26)]
                plan.append(Planned(wers, [0.45 * wer for wer in wers], method, peers, width, seed=seed))
    plan.append(Planned([0.95, 0.9, 0.8], [0.5, 0.45, 0.4], "sequence", 2, state="running"))
    return [*plan, Planned((), (), "sequence", 2, seed=1, state="failed", reason="train/loss is not finite")]


def _store(folder: Path) -> tuple[ClipStore, tuple[Clip, ...]]:
    """A store of synthetic mouths, and the "original videos" that it was cropped from."""
    raw = folder / "raw"
    raw.mkdir()
    with StoreWriter(folder / "store", height=50, width=100, channels=3, source_root=str(raw)) as writer:
        for speaker in range(SPEAKERS):
            for number in range(CLIPS):
                spoken, frames = draw_clip(7, speaker, number)
                name = f"s{speaker + 1}-{number}"
                _film(raw / f"{name}.mp4", frames)
                writer.add(
                    frames,
                    id=f"s{speaker + 1}/{name}",
                    speaker=f"s{speaker + 1}",
                    fps=25.0,
                    text=" ".join(spoken.words),
                    words=[(segment.word, *segment.frames) for segment in spoken.segments],
                    source=f"{name}.mp4",
                )
        store = writer.close()
    return store, store.clips


def _film(path: Path, mouths: Frames) -> None:
    """A drawn head around the mouth, with a tone."""
    skin = tuple(int(v) for v in np.median(mouths[0][:4].reshape(-1, 3), axis=0))
    head = np.full((240, 320, 3), (120, 150, 170), np.uint8)
    cv2.ellipse(head, (160, 125), (84, 108), 0, 0, 360, INK, -1)
    cv2.ellipse(head, (160, 138), (76, 94), 0, 0, 360, skin, -1)
    for x in (130, 190):
        cv2.circle(head, (x, 118), 8, (245, 245, 245), -1)
        cv2.circle(head, (x, 118), 4, INK, -1)
    frames = np.repeat(head[None], len(mouths), axis=0)
    y, x = np.mgrid[-1:1:35j, -1:1:70j]
    share = np.clip(3 * (1 - x**2 - y**2), 0, 1)[..., None]  # of the mouth, less towards its edge
    place = frames[:, 160:195, 125:195]
    small = np.stack([cv2.resize(mouth, (70, 35), interpolation=cv2.INTER_AREA) for mouth in mouths])
    frames[:, 160:195, 125:195] = (share * small + (1 - share) * place).astype(np.uint8)
    called = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "320x240", "-r", "25"]
    called += ["-i", "-", "-f", "lavfi", "-i", f"sine=frequency=180:duration={len(mouths) / 25}", str(path)]
    subprocess.run(called, input=frames.tobytes(), check=True, capture_output=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
