"""Aligns words with speech by aeneas. A program of its own, not a module: aligner.py starts it.

    python aeneas_worker.py LANGUAGE

It answers {"ready": true}, or {"missing": …} or {"error": …} and ends. Then each line on stdin,
{"audio": WAV, "words": […]}, is answered by one line on stdout: {"times": […]}, the word boundaries in
seconds (one more than words), or {"error": …}. The WAV is mono, 16 bit, 22,050 Hz, cut to the speech.

aeneas's own way is to let espeak say each word alone, and to match that with the speech by dynamic time
warping of cepstra. Two things differ here (docs/alignment.md has what they gain): espeak says the whole
sentence, as people do, and tells where its words begin; and the mean is taken out of the cepstra, which
takes out microphone and room.
"""

import ctypes
import json
import os
import sys
import tempfile
import wave
from pathlib import Path
from typing import Any

RATE = 22050  # espeak's; the same for both sides, so that aeneas converts nothing
WINDOW, SHIFT = "0.020", "0.005"  # seconds
MARGIN = "10.000"  # of the warp, in seconds: no bound for a sentence, and one on the memory of a speech
QUIET = 100  # of 32,767: what espeak adds around a sentence
SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: hand the samples over before returning; no threads, so it can be forked
UTF8, EVENT_END, EVENT_WORD = 1, 0, 1


class Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_void_p),  # a union of a pointer and a number
    )


Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))


class Voice:
    """espeak with one voice; raises OSError without the library, ValueError when it has no such voice."""

    def __init__(self, name: str) -> None:
        self.espeak = ctypes.CDLL("libespeak.so.1")
        self.espeak.espeak_Synth.argtypes = (
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint),
            *(ctypes.c_void_p, ctypes.c_void_p),
        )
        if self.espeak.espeak_Initialize(SYNCHRONOUS, 0, None, 0) != RATE:
            raise OSError("espeak does not start")
        if self.espeak.espeak_SetVoiceByName(name.encode()) != 0:
            raise ValueError(f"espeak has no voice {name!r}")
        self.samples = bytearray()
        self.heard: list[tuple[int, float]] = []  # (character, second) where a word begins
        self.callback = Callback(self._take)  # espeak keeps only a pointer to it
        self.espeak.espeak_SetSynthCallback(self.callback)

    def _take(self, samples: Any, count: int, events: Any) -> int:
        index = 0
        while events[index].type != EVENT_END:
            if events[index].type == EVENT_WORD and events[index].text_position > 0:
                self.heard.append((events[index].text_position - 1, events[index].audio_position / 1000))
            index += 1
        if samples and count > 0:
            self.samples += ctypes.string_at(samples, 2 * count)
        return 0

    def say(self, words: list[str]) -> tuple[Any, list[float]]:
        """Samples (int16) of the sentence without silence around it, and where each word begins, in seconds."""
        import numpy

        text = " ".join(words).encode()
        self.espeak.espeak_Synth(text, len(text) + 1, 0, 1, 0, UTF8, None, None)
        self.espeak.espeak_Synchronize()
        samples = numpy.frombuffer(bytes(self.samples), "<i2")
        loud = numpy.flatnonzero(numpy.abs(samples.astype(int)) > QUIET)
        if not len(loud):
            raise ValueError(f"espeak has no output for {' '.join(words)!r}")
        first, end = int(loud[0]), int(loud[-1]) + 1
        starts = word_starts(words, self.heard, end / RATE)
        return samples[first:end], [max(0.0, start - first / RATE) for start in starts]


def word_starts(words: list[str], heard: list[tuple[int, float]], end: float) -> list[float]:
    """Second at which each word begins; espeak runs some together ("of the"), then letters share the time."""
    offsets = [0]
    for word in words:
        offsets.append(offsets[-1] + len(word) + 1)
    known: dict[int, float] = {0: 0.0}
    for character, second in heard:
        word_index = sum(offset <= character for offset in offsets[:-1]) - 1
        known.setdefault(word_index, second)
    known[len(words)] = end
    starts = []
    for index in range(len(words)):
        before = max(k for k in known if k <= index)
        after = min(k for k in known if k > index)
        share = (offsets[index] - offsets[before]) / (offsets[after] - offsets[before])
        starts.append(known[before] + share * (known[after] - known[before]))
    return starts


def align(voice: Voice, audio: str, words: list[str]) -> list[float]:
    """Word boundaries in seconds; any exception means that this clip cannot be aligned."""
    from aeneas.dtw import DTWAligner
    from aeneas.exacttiming import TimeValue
    from aeneas.runtimeconfiguration import RuntimeConfiguration

    settings = RuntimeConfiguration()
    settings[RuntimeConfiguration.FFMPEG_SAMPLE_RATE] = RATE
    settings[RuntimeConfiguration.MFCC_WINDOW_LENGTH] = TimeValue(WINDOW)
    settings[RuntimeConfiguration.MFCC_WINDOW_SHIFT] = TimeValue(SHIFT)
    settings[RuntimeConfiguration.DTW_MARGIN] = TimeValue(MARGIN)
    samples, starts = voice.say(words)
    with tempfile.TemporaryDirectory() as folder:
        said = str(Path(folder) / "said.wav")
        with wave.open(said, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.tobytes())
        aligner = DTWAligner(cepstra(audio, settings), cepstra(said, settings), rconf=settings)
        indices = aligner.compute_boundaries([(TimeValue(f"{start:.3f}"), "", "") for start in starts])
    return [round(int(index) * float(SHIFT), 3) for index in indices]


def cepstra(path: str, settings: Any) -> Any:
    """aeneas's cepstra of a WAV, each coefficient with its mean over the clip taken out."""
    import numpy
    from aeneas.audiofilemfcc import AudioFileMFCC

    found = AudioFileMFCC(path, file_format=("pcm_s16le", 1, RATE), rconf=settings).all_mfcc
    return AudioFileMFCC(mfcc_matrix=numpy.ascontiguousarray(found - found.mean(1, keepdims=True)), rconf=settings)


def main() -> int:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not come between the replies

    def reply(message: dict[str, Any]) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    try:
        import aeneas.audiofilemfcc
        import aeneas.dtw  # noqa: F401 (here, so that the children below need not load it each)
        from aeneas.ttswrappers.espeakttswrapper import ESPEAKTTSWrapper
    except ImportError as error:
        reply({"missing": "aeneas", "error": str(error)})
        return 2
    try:
        voice = Voice(ESPEAKTTSWrapper.LANGUAGE_TO_VOICE_CODE.get(sys.argv[1], sys.argv[1]))
    except OSError as error:
        reply({"missing": "espeak", "error": str(error)})
        return 2
    except ValueError as error:
        reply({"error": str(error)})
        return 2
    reply({"ready": True})
    for line in sys.stdin:
        # A child for each clip: what espeak has said before changes how it says the next sentence, and a
        # crash in a C library costs one clip.
        child = os.fork()
        if child == 0:
            try:
                request = json.loads(line)
                answer: dict[str, Any] = {"times": align(voice, request["audio"], request["words"])}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            reply(answer)
            os._exit(0)
        if os.waitpid(child, 0)[1] != 0:
            reply({"error": "the aligner crashed on it"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
