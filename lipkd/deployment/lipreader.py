"""A deployed model: a folder with the weights of one network and all that reading clips with it takes.

    model.json             what it takes and gives, where it came from, how well it read
    weights.safetensors    the parameters of one peer, nothing else

Reading needs torch, numpy and safetensors, and no other part of the platform. MLflow loads the same folder
through `_load_pyfunc`.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lipkd.checkpoint import check_tensors, tensors_digest
from lipkd.ctc.decode import decode
from lipkd.ctc.hypothesis import Hypothesis
from lipkd.ctc.options import DecodingOptions
from lipkd.ctc.tta import most_confident
from lipkd.data.store import Frames
from lipkd.data.transforms import mean_and_std, scaled, stacked, standardising
from lipkd.data.views import View
from lipkd.deployment.model_card import CARD, read_card, shape_of
from lipkd.errors import LipkdError
from lipkd.files import write_atomic, write_json
from lipkd.model.cost import network_cost
from lipkd.model.lipnet import LipNet
from lipkd.runtime.device import autocast, choose_device
from lipkd.text import Alphabet

WEIGHTS = "weights.safetensors"
DEFAULTS = DecodingOptions()


class LipReader:
    """One network, ready to read. `card` is the content of model.json; `picture` (height, width, channels) are the
    mouth crops that it takes, uint8, RGB or grey, at `fps` frames per second."""

    def __init__(self, network: LipNet, card: dict[str, Any], device: str = "auto") -> None:
        """Raises LipkdError when `device` is not there."""
        self.card = card
        self.device = choose_device(device)
        self.network = network.to(self.device)
        self.alphabet = Alphabet(card["alphabet"])
        crop, seen = card["pictures"], card["preprocessing"]
        self.picture = (int(crop["height"]), int(crop["width"]), int(crop["channels"]))
        self.fps = float(crop["fps"])
        self.size, self.zoom = (int(seen["height"]), int(seen["width"])), float(seen["zoom"])
        self.precision = str(card["precision"])

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto") -> "LipReader":
        """The model in a folder; raises LipkdError when it is missing, damaged, or of another format."""
        folder = Path(folder)
        try:
            card = read_card(folder)
            weights = load_file(folder / WEIGHTS)
            check_tensors(weights, card["weights_sha256"])
            shape = shape_of(card)
            held, needed = sum(value.numel() for value in weights.values()), network_cost(shape).parameters
            if held != needed:  # before a network is built that may fill the memory
                raise ValueError(f"{WEIGHTS} holds {held} parameters, a network of these sizes has {needed}")
            network = LipNet(shape)
            network.load_state_dict(weights)
        except FileNotFoundError as error:
            raise LipkdError(f"model {folder}: no {CARD} and {WEIGHTS} there; make them with `lipkd deploy`") from error
        except (SafetensorError, ValueError, RuntimeError, OSError) as error:
            reason = " ".join(str(error).split())
            raise LipkdError(f"model {folder}: not a deployed model of lipkd, or damaged ({reason})") from error
        return cls(network, card, device)

    def save(self, folder: Path) -> None:
        """Write the model to `folder`, whole or not at all; another model there is replaced.

        Raises LipkdError when something else lies there.
        """
        folder = folder.absolute()
        if folder.exists() and not (folder / CARD).is_file():
            raise LipkdError(f"{folder}: already there, and not a deployed model; choose another folder")
        partial, old = (folder.with_name(f".{folder.name}.{what}") for what in ("partial", "old"))
        for left in (partial, old):
            shutil.rmtree(left, ignore_errors=True)
        weights = {name: value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()}
        write_atomic(partial / WEIGHTS, lambda temporary: save_file(weights, temporary))
        write_json(partial / CARD, {**self.card, "weights_sha256": tensors_digest(weights)})
        if folder.exists():
            os.replace(folder, old)
        os.replace(partial, folder)
        shutil.rmtree(old, ignore_errors=True)

    @torch.no_grad()
    def logits(self, clips: Sequence[Frames], options: DecodingOptions = DEFAULTS) -> tuple[Tensor, Tensor]:
        """Logits (B, T, V) of clips (T, H, W, C) and the clips' lengths (B,) in frames; of several views the most
        confident of each clip.

        Raises ValueError for a clip that is not of the crops that this model takes.
        """
        for clip in clips:
            if clip.dtype != np.uint8 or clip.ndim != 4 or clip.shape[1:] != self.picture or not len(clip):
                raise ValueError(f"{clip.dtype}{clip.shape}: this model takes uint8 (frames, *{self.picture})")
        lengths = torch.tensor([len(clip) for clip in clips])
        precision = options.precision or self.precision
        by_view = [self._logits(clips, lengths, view, precision) for view in options.views]
        return most_confident(by_view, lengths, self.alphabet), lengths

    def _logits(self, clips: Sequence[Frames], lengths: Tensor, view: View, precision: str) -> Tensor:
        pictures = [view.apply(clip, self.size, self.zoom) for clip in clips]
        scales = [standardising(*mean_and_std(clip)) for clip in pictures]
        gain, offset = (torch.from_numpy(np.stack(side)) for side in zip(*scales, strict=True))
        frames = torch.from_numpy(stacked(pictures)).to(self.device)
        with autocast(self.device, precision):
            return self.network(scaled(frames, gain.to(self.device), offset.to(self.device)), lengths)[1]

    def hypotheses(self, logits: Tensor, lengths: Tensor, options: DecodingOptions = DEFAULTS) -> list[Hypothesis]:
        """The hypotheses of the `logits` (B, T, V) of clips of `lengths` (B,) frames, as `read` gives them."""
        return decode(logits, lengths, self.alphabet, self.fps, options)

    def read(self, clips: Sequence[Frames], options: DecodingOptions = DEFAULTS) -> list[Hypothesis]:
        """The hypotheses of clips (T, H, W, C), read as one batch whatever `options.batch_size`.

        Raises ValueError as `logits` does.
        """
        return self.hypotheses(*self.logits(clips, options), options)

    def predict(self, model_input: Frames, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """For MLflow: the hypothesis of one clip (T, H, W, C), as `Hypothesis.to_json` gives it.

        `params`: `tta` (several views of the clip when true), `sentences` (a closed list; none is greedy).
        Raises LipkdError for a sentence with a letter that the model cannot say.
        """
        given = params or {}
        options = DecodingOptions.of(
            sentences=tuple(map(str, given.get("sentences", ()))), tta=bool(given.get("tta")), batch_size=1
        )
        options.check_letters(self.alphabet)
        return [hypothesis.to_json() for hypothesis in self.read([np.asarray(model_input)], options)]


def _load_pyfunc(data_path: str) -> LipReader:
    """MLflow calls this with the model's folder when somebody loads the registered model."""
    return LipReader.load(data_path)
