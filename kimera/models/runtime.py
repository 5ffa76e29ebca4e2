"""What runs a network: the library, the number format, the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from kimera.errors import UserError

# torch is imported where it is used: it takes seconds, and on onnxruntime nothing needs it.
if TYPE_CHECKING:
    import torch

Backend: TypeAlias = Literal["onnx", "torch"]
Precision: TypeAlias = Literal["int8", "float16", "float32"]
Device: TypeAlias = Literal["cpu", "cuda", "mps", "auto"]


@dataclass(frozen=True, slots=True)
class Runtime:
    """backend: the library. precision: the number format of weights and sums. device: never "auto".

    reason: why this backend, for people; two runtimes that differ in it alone are equal.
    """

    backend: Backend
    precision: Precision
    device: Device
    reason: str = field(default="", compare=False)

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu"

    def torch_dtype(self) -> torch.dtype:
        """Of weights and sums on torch."""
        import torch  # takes seconds, and onnxruntime does without

        return torch.float16 if self.precision == "float16" else torch.float32

    def torch_devices(self) -> list[str]:
        """Of CUDA all that torch sees; CUDA_VISIBLE_DEVICES says which these are."""
        if self.device != "cuda":
            return [self.device]
        import torch  # takes seconds, and onnxruntime does without

        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


TORCH_ON_CPU = Runtime("torch", "float32", "cpu", "onnxruntime cannot run this network")


def choose_runtime(backend: Backend | None, precision: Precision | None, device: Device) -> Runtime:
    """What was asked for, with what suits the rest: onnxruntime in int8 on a CPU, torch in float16 on a GPU.

    Why no other library: docs/performance.md, "Which library computes". device: "auto" takes a GPU where
    torch sees one, which means to import it. Raises `UserError` for what cannot go together, and for a device
    that is not there.
    """
    if device != "cpu":
        device = _present(device)
    reason = "as asked" if backend else "default on a CPU" if device == "cpu" else "only torch runs on a GPU"
    backend = backend or ("onnx" if device == "cpu" else "torch")
    if backend == "onnx" and device != "cpu":
        raise UserError(
            f"the backend onnx runs on the CPU only, and {device} needs torch; leave the backend out"
        )
    precision = precision or ("int8" if backend == "onnx" else "float32" if device == "cpu" else "float16")
    if precision not in (possible := {"onnx": ("int8", "float32"), "torch": ("float16", "float32")}[backend]):
        raise UserError(
            f"the precision {precision} is not one of {backend} on {device}; give {' or '.join(possible)}"
        )
    return Runtime(backend, precision, device, reason)


def _present(device: Device) -> Device:
    import torch  # takes seconds, and onnxruntime does without

    seen: dict[Device, bool] = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next((name for name, is_there in seen.items() if is_there), "cpu")
    if not seen[device]:
        raise UserError(
            f"torch {torch.__version__} sees no {device} device here. Use cpu or auto; where there is one, "
            "install a torch that is made for it: https://pytorch.org/get-started/locally"
        )
    return device
